"What comes back: color at full size, disagreement, sheets, and files that say how they were made"
import hashlib
from dataclasses import replace
import numpy as np, pytest, torch
from PIL import Image
from skimage import color
from colorized.inference import colorization
from colorized.inference.colorization import (
    MAP_SIDE, MAX_UNCERTAINTY, Colorization, gray_scan)
from colorized.photo.provenance import Provenance, read_provenance
from colorized.photo.scan import Scan
from colorized.photo.reading import read_scan

@pytest.fixture
def two():
    "Two flat colorings of a gray ramp, warm and cold"
    ramp = np.linspace(60, 190, 48, dtype=np.uint8)[None].repeat(32, 0)
    ab = torch.tensor([[20., 15.], [-15., -20.]]).view(2, 2, 1, 1).expand(2, 2, 8, 12)
    made = Provenance('test', 'ab'*32, steps=6, settings=dict(hints=False))
    return Colorization(Scan(ramp), ab.clone(), [7, 9], made)

def test_color_at_full_size(two):
    L = color.rgb2lab(two.scan.pixels[...,None].repeat(3, 2)/255)[...,0]
    for i,want in enumerate(([20., 15.], [-15., -20.])):
        lab = color.rgb2lab(two.array(i)/255)
        assert np.abs(lab[...,0]-L).max()<0.5
        assert np.abs(lab[...,1:]-want).mean()<0.6
    assert two.array(0).dtype==np.uint8 and two.array(0, 16).dtype==np.uint16
    assert np.array_equal(np.asarray(two.image(1)), two.array(1)) and two.image(1).mode=='RGB'
    deep = replace(two, scan=Scan(two.scan.pixels.astype(np.uint16)*257))
    assert deep.array(0).dtype==np.uint16 and np.asarray(deep.image(0)).dtype==np.uint8

def test_its_words(two):
    assert len(two)==2 and two.seed==7 and '2 samples, seed 7' in repr(two)
    assert '1 sample, seed 7' in repr(replace(two, ab=two.ab[:1], seeds=[7]))
    for i in (2, -1):
        for ask in (two.array, two.file_provenance, lambda i: two.save('a.png', i)):
            with pytest.raises(IndexError, match=f'2 samples, sample {i}'):
                ask(i)

def test_uncertainty(four, gray):
    u = four.uncertainty
    assert u.shape==gray.shape and u.dtype==np.float32 and np.isfinite(u).all() and (u>=0).all()
    assert u.mean()>0
    ab = four.ab.double().numpy()
    assert np.allclose(four.spread, np.sqrt(ab.var(0, ddof=1).sum(0)), atol=1e-3)
    m = four.uncertainty_map()
    assert m.size==gray.shape[::-1] and m.mode=='RGB'
    assert max(four.uncertainty_map(side=100).size)==100

def test_uncertainty_of_known_chroma(two):
    "(20,15) and (-15,-20): 35 apart in a and b, so sqrt(35²/2 + 35²/2) = 35 in all"
    assert np.allclose(two.uncertainty, 35, atol=0.1)
    black = np.asarray(replace(two, ab=two.ab[:1].repeat(2, 1, 1, 1)).uncertainty_map())
    white = np.asarray(two.uncertainty_map())
    assert black.max()<5 and white.min()>150
    assert np.asarray(two.uncertainty_map(top=70.)).mean()<white.mean()

def test_one_sample_disagrees_with_nobody(two):
    one = replace(two, ab=two.ab[:1], seeds=[7])
    for ask in (lambda: one.uncertainty, lambda: one.spread, lambda: one.uncertainty_map()):
        with pytest.raises(ValueError, match='at least 2 samples'):
            ask()
    assert one.sheet(40).width<two.sheet(40).width

def test_sheet_holds_photograph_samples_and_map(two):
    "Four pictures of 48×32 in a row of three, 8 apart, on white"
    sheet = np.asarray(two.sheet(100))
    assert sheet.shape==(2*32+8, 3*48+2*8, 3)
    assert np.array_equal(sheet[:32,:48,0], two.scan.pixels)
    assert np.array_equal(sheet[:32,56:104], two.array(0))
    assert np.array_equal(sheet[:32,112:160], two.array(1))
    assert np.array_equal(sheet[40:,:48], np.asarray(two.uncertainty_map()))
    assert (sheet[40:,56:]==255).all() and (sheet[32:40]==255).all()
    assert np.asarray(two.sheet(100, n=1)).shape==(32, 3*48+2*8, 3)
    assert two.sheet(24).size==(3*24+16, 2*16+8)

def test_notebook_display(four):
    html = four._repr_html_()
    assert '<img' in html and 'seed 3 to 6' in html and '4 samples' in html and 'invented' in html

def test_small_copies_keep_the_lightness(two):
    small = gray_scan(two.scan, 24)
    assert small.shape==(16, 24) and small.bits==8
    assert np.abs(small.pixels.astype(float)-two.scan.pixels[::2,::2]).max()<4
    assert gray_scan(two.scan, 1000).shape==two.scan.shape
    assert torch.equal(two.small(24).ab, two.ab)

def test_every_file_names_its_making(two, tmp_path):
    Image.fromarray(two.scan.pixels).save(tmp_path/'photo.png')
    scan = read_scan(tmp_path/'photo.png')
    r = replace(two, scan=scan)
    sha = hashlib.sha256((tmp_path/'photo.png').read_bytes()).hexdigest()
    made = r.file_provenance(1, bits=16, quality=80)
    assert made.seed==9 and made.settings==dict(hints=False, bits=16, quality=80, source_sha256=sha)
    assert r.provenance.settings==dict(hints=False) # that of all samples is left alone
    assert replace(r, source_sha256='cd').file_provenance().settings['source_sha256']=='cd'
    in_memory = dict(hints=False, bits=None, quality=95, source_sha256=None)
    assert two.file_provenance().settings==in_memory
    r.save(tmp_path/'out.png', 1)
    saved = read_scan(tmp_path/'out.png')
    assert np.array_equal(saved.pixels, r.array(1)) and sha.encode() in saved.xmp
    for name in 'photo.png','other.png': # the original is replaced, and known all the same
        r.save(tmp_path/name, replace_original=name=='photo.png')
        assert sha.encode() in read_scan(tmp_path/name).xmp
    assert b'<colorized:Seed>9<' in saved.xmp

def test_the_original_is_known_wherever_the_program_has_gone(two, tmp_path, monkeypatch):
    for name in 'here','there': (tmp_path/name).mkdir()
    photo = tmp_path/'here'/'photo.png'
    Image.fromarray(two.scan.pixels).save(photo)
    Image.fromarray(255-two.scan.pixels).save(tmp_path/'there'/'photo.png')
    before = photo.read_bytes()
    monkeypatch.chdir(tmp_path/'here')
    read = lambda: replace(two, scan=read_scan('photo.png'))
    moved,changed = read(),read()
    monkeypatch.chdir(tmp_path/'there')
    with pytest.raises(ValueError, match='is the original'): moved.save(photo, overwrite=True)
    sha = moved.file_provenance().settings['source_sha256']
    assert sha==hashlib.sha256(before).hexdigest() and photo.read_bytes()==before
    photo.write_bytes(before+b'more') # what was colored is no longer there to be hashed
    assert changed.file_provenance().settings['source_sha256'] is None

@pytest.mark.parametrize('suffix', ['.jpg', '.webp', '.png', '.tif'])
def test_integers_of_numpy_are_integers(two, tmp_path, suffix):
    numbers,data = dict(bits=8, quality=90),[]
    for o in numbers, {k: np.int64(v) for k,v in numbers.items()}:
        two.save(tmp_path/f'a{suffix}', **o, overwrite=True)
        data.append((tmp_path/f'a{suffix}').read_bytes())
    assert data[0]==data[1]

@pytest.mark.parametrize('quality', [0, 101, -5, 'high', 95.5, None])
def test_a_quality_that_cannot_be(two, tmp_path, quality):
    with pytest.raises(ValueError, match='quality must be an integer in 1..100'):
        two.save(tmp_path/'a.jpg', quality=quality)
    assert not any(tmp_path.iterdir())

def test_progress_and_depth(two, tmp_path):
    seen = []
    two.save(tmp_path/'a.tif', bits=16, progress=seen.append)
    assert seen==sorted(seen) and seen[-1]==1
    assert np.array_equal(read_scan(tmp_path/'a.tif').pixels, two.array(0, 16))
    big,small = [tmp_path/f'q{q}.jpg' for q in (95, 30)]
    for path,q in ((big, 95), (small, 30)):
        two.save(path, quality=q)
    assert small.stat().st_size<big.stat().st_size
    with pytest.raises(ValueError, match='exists already'):
        two.save(big)
    two.save(big, quality=30, overwrite=True)
    assert Image.open(big).size==(48, 32)

def test_defaults_of_what_users_call(two, tmp_path):
    "Sample 0, in the photograph's depth, at quality 95; a sheet of 480 pixels with all samples"
    two.save(tmp_path/'a.jpg')
    two.save(tmp_path/'b.jpg', 0, None, None, 95)
    assert (tmp_path/'a.jpg').read_bytes()==(tmp_path/'b.jpg').read_bytes()
    assert read_provenance(tmp_path/'a.jpg')['quality']=='95'
    assert two.file_provenance()==two.file_provenance(0, None, 95)
    assert np.array_equal(two.array(), two.array(0, 8))
    large = replace(two, scan=Scan(np.zeros((600, 900), np.uint8)))
    assert large.sheet().size==large.sheet(480, 2).size==(3*480+2*8, 2*320+8)
    assert large.sheet(n=1).size==(3*480+2*8, 320) # the map stays
    assert 'width' not in two._repr_html_() and '2 samples (seed 7 to 9)' in two._repr_html_()
    assert str(MAX_UNCERTAINTY)=='4.0'

def test_a_sheet_has_four_columns_of_upright_pictures_and_three_of_wide_ones(two):
    "It is about as wide as a page"
    def columns(h, w):
        many = replace(two, scan=Scan(np.zeros((h, w), np.uint8)), ab=two.ab[:1].repeat(5, 1, 1, 1),
                       seeds=list(range(5)))
        side = 30
        width = many.sheet(side).size[0]
        return round((width+8)/(side*min(1, w/h)+8))
    shapes = (60, 40),(60, 60),(60, 85),(60, 95),(40, 60)
    assert [columns(*o) for o in shapes]==[4, 4, 4, 3, 3]
    one = replace(two, ab=two.ab[:1], seeds=[7])
    assert one.sheet(48).size==(2*48+8, 32) # no map, no empty place

def test_its_picture_in_a_notebook_says_what_it_shows(two):
    assert '2 samples (seed 7 to 9) and their disagreement;' in two._repr_html_()
    one = replace(two, ab=two.ab[:1], seeds=[7])
    assert 'the photograph, 1 sample (seed 7);' in one._repr_html_()

def test_the_heat_map_is_inferno_from_nothing_to_the_top(two):
    from matplotlib import colormaps
    for top in (10., 60.):
        want = np.array(colormaps['inferno'](min(1., 35/top))[:3])*255
        assert np.abs(np.asarray(two.uncertainty_map(top))-want).max()<=0.5
    assert np.asarray(two.uncertainty_map())[0,0].tolist()==[252, 255, 164]

def test_a_map_is_computed_at_its_own_size(two, monkeypatch):
    "That of a large scan takes no more memory than a screen has pixels"
    large = replace(two, scan=Scan(np.zeros((3000, 2000), np.uint8)))
    sizes,real = [],colorization.up_chroma
    def enlarge(ab, size):
        sizes.append(size)
        return real(ab, size)
    monkeypatch.setattr(colorization, 'up_chroma', enlarge)
    assert large.uncertainty_map(side=MAP_SIDE).size==(683, 1024) and sizes==[[1024, 683]]
    assert large.uncertainty_map(side=5000).size==(2000, 3000)
