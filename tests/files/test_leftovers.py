"What is removed from a folder, and what stays; names that are as long as a file system allows"
import json, os, socket
import pytest
from colorized.batch.claims import Claims
from colorized.files import atomic_folder, atomic_write, clear_leftovers, write_bytes

OLD = 0, 0 # 1970

def dead_claim(path):
    path.write_text(json.dumps(dict(pid=4_000_000, host=socket.gethostname(), start='')))

def litter(folder, *names):
    for o in names:
        (folder/o).write_bytes(b'half')
        os.utime(folder/o, OLD)

FOREIGN = '.notes.tmp', '.syncthing.a.jpg.tmp', '.a.jpg.0123.tmp', '.a.jpg.0123456G.tmp', 'a.tmp'

def test_files_of_others_stay(tmp_path):
    litter(tmp_path, *FOREIGN, '.a.jpg.01234567.tmp', '.a\nb.jpg.01234567.tmp')
    (tmp_path/'.backup.tmp').mkdir()
    (tmp_path/'.backup.01234567.tmp').mkdir()
    for o in ('.backup.tmp', '.backup.01234567.tmp'):
        (tmp_path/o/'precious').write_bytes(b'1')
        os.utime(tmp_path/o, OLD)
    claims = Claims()
    assert claims.take(tmp_path/'b.jpg')
    claims.release()
    there = {*FOREIGN, '.backup.tmp', '.backup.01234567.tmp'}
    assert {o.name for o in tmp_path.iterdir()}==there
    clear_leftovers(tmp_path, folders=True)
    assert {o.name for o in tmp_path.iterdir()}==there-{'.backup.01234567.tmp'}

def test_of_a_dead_process_goes_what_it_claimed(tmp_path):
    "At any age; what is young and another's stays"
    for o in '.[a].jpg.01234567.tmp', '.a.jpg.01234567.tmp', '.[a].jpg.png.01234567.tmp':
        (tmp_path/o).write_bytes(b'half')
    dead_claim(tmp_path/'.[a].jpg.claim')
    claims = Claims()
    assert claims.take(tmp_path/'[a].jpg') and claims.inherited=={tmp_path/'[a].jpg'}
    claims.release()
    left = {'.a.jpg.01234567.tmp', '.[a].jpg.png.01234567.tmp'}
    assert {o.name for o in tmp_path.iterdir()}==left

@pytest.mark.parametrize('name', ['a'*251+'.jpg', 'ä'*125+'.jpeg', 'a'*237+'.jpg'])
def test_names_of_any_length(tmp_path, name):
    out,twin = tmp_path/name,tmp_path/f'{name[:-1]}f'
    claims,others = Claims(),Claims()
    assert claims.take(out) and others.take(twin) and not others.take(out)
    write_bytes(out, b'1')
    with atomic_folder(twin) as part:
        (part/'x').write_bytes(b'1')
    with pytest.raises(ZeroDivisionError), atomic_write(out):
        1/0
    claims.release()
    others.release()
    assert {o.name for o in tmp_path.iterdir()}=={name, twin.name}
    with atomic_write(out) as f: # as a kill leaves it
        left = tmp_path/os.path.basename(f.name)
        copy = left.read_bytes()
    left.write_bytes(copy)
    claims.take(out)
    dead_claim(next(tmp_path.glob('.*.claim')))
    assert others.take(out) and not left.exists()
