"Which old photographs are taken, out of which commit"
import subprocess, sys
import pytest
from PIL import ImageOps
from benchmarks.support.photo_sets import hashes_of
from benchmarks.weights import historical
from benchmarks.weights.photographs import Known
from clone_files import clone, colors

POINTER = b'version https://git-lfs.github.com/spec/v1\nsize 4\n'

def gray(seed, size=(400,300)): return colors(seed, size).convert('L')

@pytest.fixture
def repository(tmp_path):
    "Pictures in one commit; in the next one some are links, one is gone"
    pictures = {f'{i} old.jpg': gray(i) for i in range(5)} | {
        'sepia.png': ImageOps.colorize(gray(5), '#241a10', '#f4e2c4'),
        'color.jpg': colors(6, (400,300)), 'small.jpg': gray(7, (300,150)),
        'mirror.png': ImageOps.mirror(gray(0)), 'twin.png': gray(1), 'none.jpg': POINTER,
        'a-b-c-d-e.jpg': gray(8), 'text.txt': b'no picture'}
    at = tmp_path/'made'
    clone(tmp_path, 'made', {f'test_images/{k}': o for k,o in pictures.items()})
    for name in '2 old.jpg','3 old.jpg': (at/'test_images'/name).write_bytes(POINTER)
    (at/'test_images/4 old.jpg').unlink()
    who = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'core.hooksPath=/dev/null']
    subprocess.run(['git', '-C', at, *who, 'commit', '-qam', 'links'], check=True)
    return at/'.git'

def test_what_is_taken(repository, tmp_path):
    (tmp_path/'apart').mkdir()
    gray(2).save(tmp_path/'apart/x.png')
    pictures,why = historical.gather(repository, Known(hashes_of([tmp_path/'apart'])))
    assert why=={'in color': 1, 'small': 1, 'apart': 1, 'broken': 1, 'twin': 2}
    assert [*pictures]==['0_old', '1_old', '3_old', '4_old', 'sepia']
    assert all(o.mode=='L' and o.size==(384,288) for o in pictures.values())

def test_two_folders_that_share_nothing(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(historical, 'LOOK', 2)
    def names(out):
        (tmp_path/'apart').mkdir(exist_ok=True)
        command = ['historical.py', repository, tmp_path/out, '--apart', tmp_path/'apart']
        monkeypatch.setattr(sys, 'argv', [*map(str, command)])
        historical.main()
        return [sorted(o.name for o in (tmp_path/out/k).iterdir()) for k in ('look', 'learn')]
    look,learn = names('a')
    assert len(look)==2 and len(learn)==4 and not {*look}&{*learn} and names('b')==[look, learn]
