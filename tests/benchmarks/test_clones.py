"Clones of git: where one lies, and what a commit holds"
import os, subprocess
import pytest
from benchmarks.support import clones
from clone_files import clone

def test_a_clone_is_found_bare_or_not(tmp_path):
    clone(tmp_path, 'owner/name', {'a.jpg': b'a'})
    at = tmp_path/'owner+name'
    assert clones.located(at)==clones.git_dir(tmp_path, 'owner/name')==at/'.git'
    subprocess.run(['git', 'clone', '-q', '--bare', at, tmp_path/'bare'], check=True)
    assert clones.located(str(tmp_path/'bare'))==tmp_path/'bare'

def test_what_is_no_clone_is_named(tmp_path):
    (tmp_path/'owner+name').mkdir()
    assert clones.git_dir(tmp_path, 'owner/name') is None
    with pytest.raises(SystemExit, match='owner.name is no clone'):
        clones.located(tmp_path/'owner+name')

def test_files_of_a_commit_and_their_content(tmp_path):
    files = {'in/a.jpg': b'one', 'in/b.jpg': b'one', 'in/c.txt': b'two', 'out/d.jpg': b'three'}
    clone(tmp_path, 'o/n', files)
    at = tmp_path/'o+n'
    os.symlink('a.jpg', at/'in/link.jpg')
    who = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'core.hooksPath=/dev/null']
    subprocess.run(['git', '-C', at, 'add', '-A'], check=True)
    subprocess.run(['git', '-C', at, *who, 'commit', '-qm', 'link'], check=True)
    where = clones.located(at)
    everything = clones.listed(where, 'HEAD', '^in/')
    assert [o for _,o in everything]==['in/a.jpg', 'in/c.txt']
    pictures = clones.listed(where, 'HEAD', '^in/', clones.PICTURE)
    assert [o for _,o in pictures]==['in/a.jpg']
    lacked = ('0'*40, 'gone.jpg')
    assert [*clones.blobs(where, [lacked, *everything])]==[('in/a.jpg', b'one'),
                                                           ('in/c.txt', b'two')]
    assert clones.holds(where, 'HEAD') and not clones.holds(where, 'abcd1234')
