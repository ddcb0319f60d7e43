"Photographs to judge by: which are taken from clones, and out of GCompris"
import json, struct
import pytest
from PIL import Image, ImageOps
from benchmarks.support import photo_sets
from benchmarks.support.results import Missing
from clone_files import clone, colors

@pytest.fixture
def clones(tmp_path, monkeypatch):
    pictures = {f'data/{i}.png': colors(i, (700,600)) for i in range(5)}
    pictures['data/3.png'] = colors(3).convert('L') # gray
    commit = clone(tmp_path/'clones', 'a/objects', pictures)
    monkeypatch.setattr(photo_sets, 'SETS', (('objects', 'a/objects', commit, r'^data/', 1),
                                             ('things', 'a/objects', commit, r'^data/', 2)))
    return tmp_path/'clones'

def test_what_is_taken(clones, tmp_path):
    (tmp_path/'apart').mkdir()
    ImageOps.mirror(colors(1, (700,600))).save(tmp_path/'apart/x.png')
    photo_sets.gather(clones, tmp_path/'out', [tmp_path/'apart'])
    def names(folder): return sorted(o.name for o in (tmp_path/'out'/folder).iterdir())
    assert names('objects')==[f'objects-0000{i}.png' for i in (0, 2, 4)]==names('things')
    assert Image.open(tmp_path/'out/objects/objects-00000.png').size==(597, 512)
    classes = json.loads((tmp_path/'out/objects.json').read_text())
    assert classes=={f'objects-0000{i}': i for i in (0, 2, 4)} # by its number is its class known

def test_a_clone_that_is_missing_is_named(clones, tmp_path, monkeypatch):
    for repository,commit in (('b/none', '0'*40), ('a/objects', '0'*40)):
        monkeypatch.setattr(photo_sets, 'SETS', (('things', repository, commit, '', 1),))
        with pytest.raises(Missing, match=f"a clone of {repository} with commit 0000"):
            photo_sets.gather(clones, tmp_path/'out')

def test_pictures_in_a_resource_file(tmp_path):
    "WebP files as they lie between other bytes; drawings are no photographs"
    colors(1, (300,200)).save(tmp_path/'a.webp')
    colors(2, (300,200)).save(tmp_path/'b.webp')
    one,two = ((tmp_path/f'{o}.webp').read_bytes() for o in 'ab')
    other = b'RIFF'+struct.pack('<I', 4)+b'WAVE'
    assert list(photo_sets.webps(b'qres'+one+other+b'between'+two))==[one, two]
    assert photo_sets.is_photograph(colors(1, (300,200)))
    assert not photo_sets.is_photograph(colors(1, (300,100)))
    assert not photo_sets.is_photograph(Image.new('RGB', (300,300), 'red'))
    assert not photo_sets.is_photograph(colors(1, (300,300)).convert('L').convert('RGB'))
