"The photographs that training learns from: what is read, what is left out, what is a source"
import json, logging, warnings
import imagecodecs, numpy as np, pytest, tifffile, torch
from PIL import Image
from skimage import data
from colorized import data as D
from colorized.training.examples import PhotoFolder, Recipe, Subset, open_rgb, photo_dataloaders

torch.set_num_threads(1)
TINY = Recipe(size=64, small=0)

def photo(i=0, side=96):
    "A colourful square"
    rgb = (data.coffee, data.astronaut, data.rocket)[i%3]()
    return np.ascontiguousarray(rgb[20*i:20*i+400, 100:500][::400//side, ::400//side][:side,:side])

def folder(root, n):
    root.mkdir(parents=True)
    for i in range(n): Image.fromarray(photo(i)).save(root/f'{i}.png')
    return root

@pytest.mark.filterwarnings('ignore')
def test_deep_files_are_read_as_for_colouring(tmp_path):
    "16 bits in planes, JPEG 2000 and floats come out as what they show, a broken file is named once"
    rgb = photo(); deep = rgb.astype(np.uint16)*257
    tifffile.imwrite(tmp_path/'planar.tif', np.moveaxis(deep, -1, 0), photometric='rgb', planarconfig='separate')
    tifffile.imwrite(tmp_path/'float.tif', rgb.astype(np.float32)/255, photometric='rgb')
    (tmp_path/'deep.jp2').write_bytes(imagecodecs.jpeg2k_encode(deep, level=0))
    photos = PhotoFolder(tmp_path)
    assert [p.name for p in photos.files]==['deep.jp2', 'float.tif', 'planar.tif']
    for im in photos: assert abs(np.asarray(im, float)-rgb).max()<=1
    (tmp_path/'torn.png').write_bytes(b'\x89PNG')
    with pytest.raises(ValueError) as e: open_rgb(tmp_path/'torn.png')
    assert str(e.value).count('torn.png')==1

def test_looking_leaves_the_warnings_as_they_were(tmp_path):
    root,before = folder(tmp_path/'photos', 12),list(warnings.filters)
    for _ in range(5): PhotoFolder(root, threads=4)
    assert warnings.filters==before

def test_sepia_is_no_colour(tmp_path):
    "One warm tint teaches that the world is brown; one cold tint may be snow. What an older version said is not believed"
    L = data.camera()[::4, ::4].astype(float)[...,None]/255; root = tmp_path/'photos'; root.mkdir()
    for name,tint in dict(sepia=(1, 0.8, 0.55), snow=(0.6, 0.8, 1)).items(): Image.fromarray((255*L*tint).astype(np.uint8)).save(root/f'{name}.png')
    index = tmp_path/'index.json'; index.write_text(json.dumps({f"{p.name}:{p.stat().st_size}": 40. for p in root.iterdir()}))
    for _ in range(2):
        photos = PhotoFolder(root, index)
        assert [[p.stem for p in o] for o in (photos.files, photos.gray)]==[['snow'], ['sepia']] and '1 gray or of one tint' in repr(photos)

def test_the_run_and_the_watched_are_not_learnt_from(tmp_path):
    "Both may lie below the photographs; a source that is the whole folder leaves nothing out"
    root = folder(tmp_path/'photos', 3); watched,run = folder(root/'watched', 2),folder(root/'runs'/'a', 1)
    dls = photo_dataloaders(root, watched, recipe=TINY, index=run)
    assert [len(dls.train_ds), len(dls.valid_ds)]==[3, 2]
    assert len(photo_dataloaders(root, PhotoFolder(watched), recipe=TINY, index=run).train_ds)==3
    assert len(photo_dataloaders(root, root, recipe=TINY, index=tmp_path).train_ds)==6
