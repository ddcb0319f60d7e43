"The photographs that training learns from: what is read, what is left out, what is a source"
import json, os, warnings
from itertools import count
import imagecodecs, numpy as np, pytest, tifffile
from PIL import Image
from skimage import data
from colorized.files import file_state, write_bytes
from colorized.training import sources
from colorized.training.sources import KaggleSet, PhotoFolder, Subset, source_fingerprint
from colorized.photo.reading import open_rgb
from colorized.training.train import train
from training_helpers import BRIEF, crops

def photo(i=0, side=96):
    "A colorful square"
    rgb = (data.coffee, data.astronaut, data.rocket)[i%3]()
    return np.ascontiguousarray(rgb[20*i:20*i+400, 100:500][::400//side, ::400//side][:side,:side])

def folder(root, n):
    root.mkdir(parents=True)
    for i in range(n):
        Image.fromarray(photo(i)).save(root/f'{i}.png')
    return root

@pytest.mark.filterwarnings('ignore')
def test_deep_files_are_read_as_for_coloring(tmp_path):
    "16 bits in planes, JPEG 2000 and floats come out as what they show, a torn file is named once"
    rgb = photo()
    deep = rgb.astype(np.uint16)*257
    tifffile.imwrite(tmp_path/'planar.tif', np.moveaxis(deep, -1, 0), photometric='rgb',
                     planarconfig='separate')
    tifffile.imwrite(tmp_path/'float.tif', rgb.astype(np.float32)/255, photometric='rgb')
    (tmp_path/'deep.jp2').write_bytes(imagecodecs.jpeg2k_encode(deep, level=0))
    photos = PhotoFolder(tmp_path)
    assert [p.name for p in photos.files]==['deep.jp2', 'float.tif', 'planar.tif']
    for im in photos: assert abs(np.asarray(im, float)-rgb).max()<=1
    (tmp_path/'torn.png').write_bytes(b'\x89PNG')
    with pytest.raises(ValueError) as e: open_rgb(tmp_path/'torn.png')
    assert str(e.value).count('torn.png')==1

def test_reading_leaves_the_warnings_as_they_were(tmp_path):
    root,before = folder(tmp_path/'photos', 12),list(warnings.filters)
    for _ in range(5): PhotoFolder(root, threads=4)
    assert warnings.filters==before

def test_sepia_is_no_color(tmp_path):
    """One warm tint teaches that the world is brown; one cold tint may be snow

    What an older version said is not believed."""
    L = data.camera()[::4, ::4].astype(float)[...,None]/255
    root = tmp_path/'photos'
    root.mkdir()
    for name,tint in dict(sepia=(1, 0.8, 0.55), snow=(0.6, 0.8, 1)).items():
        Image.fromarray((255*L*tint).astype(np.uint8)).save(root/f'{name}.png')
    index = tmp_path/'index.json'
    old = {':'.join(map(str, (p.name, *file_state(p)))): 40. for p in root.iterdir()}
    index.write_text(json.dumps({'version': 2, **old}))
    for _ in range(2):
        photos = PhotoFolder(root, index)
        assert [[p.stem for p in o] for o in (photos.files, photos.gray)]==[['snow'], ['sepia']]
        assert '1 gray or of one tint' in repr(photos)

def test_the_index_keeps_its_format(tmp_path):
    "Path, size and time of each file, colorfulness or a word; whole, in ASCII, nothing beside it"
    root = folder(tmp_path/'photos', 2)
    (root/'sub').mkdir()
    Image.fromarray(data.camera()[::8,::8]).save(root/'sub'/'grün.png')
    (root/'torn.png').write_bytes(b'\x89PNG')
    index = tmp_path/'run'/'train.json'
    photos = PhotoFolder(root, index)
    key = lambda name: ':'.join(map(str, (name, *file_state(root/name))))
    known = json.loads(index.read_bytes().decode('ascii'))
    assert [o.name for o in index.parent.iterdir()]==['train.json']
    assert set(known)=={'version', *map(key, ('0.png', '1.png', 'sub/grün.png', 'torn.png'))}
    assert (known['version'], known[key('torn.png')])==(3, None) and known[key('0.png')]>12
    assert (len(photos), len(photos.gray), len(photos.broken))==(2, 1, 1)
    before = index.stat().st_mtime_ns
    assert PhotoFolder(root, index).files==photos.files and index.stat().st_mtime_ns==before
    (root/'new.png').write_bytes((root/'0.png').read_bytes()) # one more: the others are remembered
    index.write_text(json.dumps({**known, key('1.png'): 1.}))
    assert [p.name for p in PhotoFolder(root, index).files]==['0.png', 'new.png']

@pytest.mark.parametrize('text', ['[{"a": 1}]', '{"my": "annotations"}', '{"version"', '\xff'])
def test_no_other_file_is_taken_for_the_index(tmp_path, text):
    "It is named, and stays as it was"
    root,index = folder(tmp_path/'photos', 1),tmp_path/'train.json'
    index.write_text(text, encoding='latin-1')
    with pytest.raises(ValueError, match=r'train\.json is no index of photographs'):
        PhotoFolder(root, index)
    assert index.read_text(encoding='latin-1')==text

def test_what_cannot_be_read_now_is_looked_at_again(tmp_path, monkeypatch):
    "What the system says of a file is not kept, what its content says is"
    root,index = folder(tmp_path/'photos', 3),tmp_path/'index.json'
    (root/'torn.png').write_bytes((root/'0.png').read_bytes()[:3000])
    whole = open
    def troubled(path, *args, **kwargs):
        if str(path).endswith('1.png'): raise PermissionError(13, 'denied')
        if str(path).endswith('2.png'): raise OSError(5, 'input/output error')
        return whole(path, *args, **kwargs)
    with monkeypatch.context() as m:
        m.setattr('builtins.open', troubled)
        photos = PhotoFolder(root, index)
    assert [p.name for p in photos.broken]==['1.png', '2.png', 'torn.png']
    known = json.loads(index.read_text())
    assert sorted(k.split(':')[0] for k in known)==['0.png', 'torn.png', 'version']
    assert [p.name for p in PhotoFolder(root, index).files]==['0.png', '1.png', '2.png']

def test_files_that_have_changed_are_looked_at_again(tmp_path):
    "Mended, then broken, of the same size; also by a clock that was 50 years slow"
    root,index = folder(tmp_path/'photos', 2),tmp_path/'index.json'
    whole = (root/'1.png').read_bytes()
    for i,content in enumerate((bytes(len(whole)), whole, bytes(len(whole)))):
        (root/'1.png').write_bytes(content)
        os.utime(root/'1.png', ns=(0, i-10**9))
        assert len(PhotoFolder(root, index))==1+(content==whole)

def test_an_interrupted_look_goes_on(tmp_path, monkeypatch):
    "What was looked at by then is kept, after Ctrl-C as after a kill"
    root,index = folder(tmp_path/'photos', 5),tmp_path/'index.json'
    names = lambda: [k.split(':')[0] for k in json.loads(index.read_text()) if k!='version']
    looked,look,clock = [],sources._verdict,count(0, 25)
    def fails(path):
        looked.append(path.name)
        if path.name=='3.png' and len(looked)<5: raise KeyboardInterrupt
        return look(path)
    kept = []
    def write(path, data):
        write_bytes(path, data)
        kept.append(len(names()))
    monkeypatch.setattr(sources, '_verdict', fails)
    monkeypatch.setattr(sources, 'write_bytes', write)
    monkeypatch.setattr(sources.time, 'monotonic', lambda: next(clock))
    with pytest.raises(KeyboardInterrupt): PhotoFolder(root, index, threads=1)
    assert names()==['0.png', '1.png', '2.png'] and kept==[0, 3, 3]
    del looked[:]
    with pytest.raises(KeyboardInterrupt): PhotoFolder(root, index, threads=1)
    assert looked[0]=='3.png'

def test_a_folder_for_the_index_that_cannot_be_written_is_named_at_once(tmp_path, monkeypatch):
    root = folder(tmp_path/'photos', 1)
    (tmp_path/'run').write_text('a file')
    monkeypatch.setattr(sources, '_verdict', None) # not looked at
    with pytest.raises(NotADirectoryError, match='run'): PhotoFolder(root, tmp_path/'run/i.json')

def test_linked_folders_are_named(tmp_path):
    "They are not searched, which is said; nor do those count that are left out"
    root = folder(tmp_path/'photos', 1)
    folder(tmp_path/'album', 2)
    (root/'more').symlink_to(tmp_path/'album')
    photos = PhotoFolder(root)
    assert len(photos)==1 and photos.left_out.endswith(', 1 linked folder not searched: more')
    assert 'linked' not in PhotoFolder(root, exclude=[tmp_path/'album']).left_out

def test_hidden_files_and_folders_are_passed_over(tmp_path):
    "A wastebasket, and what macOS writes beside a photograph; the folder itself may be hidden"
    root = folder(tmp_path/'.photos', 2)
    folder(root/'.Trash-1000'/'files', 1)
    folder(root/'album'/'.thumbnails', 1)
    (root/'._0.png').write_bytes(b'\0\5\x16\7')
    (root/'.more').symlink_to(folder(tmp_path/'more', 1))
    photos = PhotoFolder(root)
    assert [p.name for p in photos.files]==['0.png', '1.png']
    assert not photos.broken and not photos.linked

def kaggle(root, parts, n=None):
    "Kaggle's arrays of pictures in one shade, whose b is the part's number"
    for o in ('l', 'ab'): (root/o).mkdir(parents=True)
    np.save(root/'l/gray_scale.npy', np.full((n or len(parts),8,8), 128, np.uint8))
    for i in parts: np.save(root/f'ab/ab{i}.npy', np.full((1,8,8,2), i, np.uint8))
    return root

def test_kaggle_arrays_in_the_order_of_their_numbers(tmp_path):
    photos = KaggleSet(kaggle(tmp_path/'set', range(1, 12)))
    assert [int(o[0,0,0,1]) for o in photos.ab]==[*range(1, 12)] and len(photos)==11

def test_kaggle_arrays_that_are_missing_or_torn(tmp_path):
    "Chroma is never joined to the lightness of another photograph"
    with pytest.raises(ValueError, match='3 photographs, ab1.npy, ab3.npy together 2: is a file'):
        KaggleSet(kaggle(tmp_path/'gap', [1, 3], n=3))
    root = kaggle(tmp_path/'torn', [1, 2])
    for n in (0, 60, 200):
        (root/'ab/ab2.npy').write_bytes((root/'ab/ab1.npy').read_bytes()[:n])
        with pytest.raises(ValueError, match=r'ab2\.npy is no whole NumPy array'): KaggleSet(root)

def test_generated_color_is_left_out(tmp_path):
    from colorized.photo.scan import Scan
    from colorized.photo.writing import write_scan
    root = folder(tmp_path/'photos', 1)
    write_scan(root/'ours.png', photo(), Scan(photo())) # with our note
    photos = PhotoFolder(root)
    assert [p.name for p in photos.files]==['0.png']
    assert [p.name for p in photos.generated]==['ours.png']
    assert '1 colored by a program' in photos.left_out

def test_names_that_are_no_text(tmp_path):
    data = crops(tmp_path/'photos', 2, 64)
    try:
        (data/'000.png').rename(data/os.fsdecode(b'caf\xe9.png'))
    except OSError:
        pytest.skip('this file system takes valid names only')
    for photos in (4, 8):
        learn = train(data, tmp_path/'run', photos=photos, bs=4, resume=photos==8,
                      **{**BRIEF, 'valid': data})
        assert learn.this_run.photos==photos

def test_fingerprints_tell_sources_apart(tmp_path):
    "By number and names; a part by the names of the whole"
    photos = PhotoFolder(folder(tmp_path/'photos', 3))
    of = source_fingerprint
    assert of(photos).startswith('3 photographs, ') and of(Subset(photos, [0])).startswith('1 ')
    assert of(Subset(photos, [0])).split()[-1]==of(photos).split()[-1]
    assert of(PhotoFolder(folder(tmp_path/'copy', 3)))==of(photos) # wherever it lies
    (tmp_path/'copy'/'2.png').rename(tmp_path/'copy'/'3.png')
    assert of(PhotoFolder(tmp_path/'copy'))!=of(photos)
    assert of([1, 2])==of([3, 4])=='2 photographs, without names'
