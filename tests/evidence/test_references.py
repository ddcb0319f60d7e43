"References help where they show the same, do no harm where they do not, and are named"
import numpy as np, pytest, torch
from PIL import Image
from skimage import data
from colorized import Colorizer
from colorized.evidence.references import Evidence, as_reference
from colorized.photo.lab import rgb_to_lab
from colorized.photo.scan import Scan, ScanError

PHOTOS = dict(cat=data.chelsea(), coffee=data.coffee(), astronaut=data.astronaut())

@pytest.fixture(scope='module')
def colorizer(): return Colorizer.from_pretrained(device='cpu')

def halves(x): return tuple(np.ascontiguousarray(o) for o in np.array_split(x, 2, 1))

def error(result, rgb):
    "Mean distance from the true chroma"
    true = rgb_to_lab(torch.from_numpy(rgb).permute(2,0,1)[None])[:,1:]
    true = torch.nn.functional.interpolate(true, result.ab.shape[2:], mode='area')
    return (result.ab[:1]-true).norm(dim=1).mean().item()

@pytest.mark.parametrize('name', PHOTOS)
def test_the_other_half_helps_and_other_photographs_do_no_harm(name, colorizer):
    left,right = halves(PHOTOS[name])
    without = error(colorizer.colorize(right), right)
    assert error(colorizer.colorize(right, references=left), right) < 0.75*without
    for other in PHOTOS.keys()-{name}:
        told = colorizer.colorize(right, references=PHOTOS[other])
        assert error(told, right) < without+0.6
        assert told.file_provenance().evidence_share < 0.2

def test_a_reference_is_used_whatever_its_size_and_depth(colorizer):
    left,right = halves(PHOTOS['cat'])
    deep = (left.astype(np.uint16)*257)
    small = np.asarray(Image.fromarray(left).resize((90, 120)))
    tall = np.asarray(Image.fromarray(left).resize((900, 1200)))
    base = colorizer.colorize(right, references=left)
    assert torch.equal(base.ab, colorizer.colorize(right, references=deep).ab)
    for o in (small, tall):
        changed = (colorizer.colorize(right, references=o).ab-base.ab).norm(dim=1).mean()
        assert changed < 4, 'nearly the same colors'

def test_one_reference_of_several_is_found(colorizer):
    left,right = halves(PHOTOS['cat'])
    found = colorizer.references([PHOTOS['coffee'], left, PHOTOS['astronaut']])
    L = Scan(right).thumbnail_L((256, 192))
    e = found.evidence(L)
    sure = e.weight>0.5
    assert sure.float().mean()>0.2
    assert (e.source[sure]==1).float().mean()>0.95
    assert colorizer.references(found) is found

def test_a_sample_is_the_same_alone_and_among_others(colorizer):
    left,right = halves(PHOTOS['cat'])
    many = colorizer.colorize(right, references=left, n_samples=3)
    alone = colorizer.colorize(right, references=left, seed=2)
    assert torch.equal(many.ab[2:], alone.ab)
    assert many.file_provenance(2)==alone.file_provenance()

def test_hints_have_the_last_word(colorizer):
    left,right = halves(PHOTOS['cat'])
    H,W = right.shape[:2]
    hint = [(W//2, H//2, '#3050c0', 12)]
    told = colorizer.colorize(right, references=left, hints=hint)
    h,w = told.ab.shape[2:]
    assert told.ab[0,1,h//2,w//2] < -8, 'blue, as the hint says, on a brown cat'

def test_the_file_names_its_references(colorizer, tmp_path):
    from exif import tags
    from colorized.files import sha256_of
    from colorized.photo.provenance import read_provenance
    left,right = halves(PHOTOS['cat'])
    Image.fromarray(left).save(tmp_path/'street today.png')
    result = colorizer.colorize(right, references=tmp_path/'street today.png')
    result.save(tmp_path/'out.tif')
    said = tags(tmp_path/'out.tif')
    share = float(said['XMP-colorized:EvidenceShare'])
    assert share==pytest.approx(result.evidence.share(result.ab), abs=6e-4) and 0.3<share<1
    named = read_provenance(tmp_path/'out.tif')['references']
    assert 'street today.png' in named and sha256_of(tmp_path/'street today.png') in named
    colorizer.colorize(right).save(tmp_path/'plain.tif')
    assert not [k for k in tags(tmp_path/'plain.tif') if 'Evidence' in k]
    assert 'references' not in read_provenance(tmp_path/'plain.tif')

def test_an_output_is_no_source_of_colors(colorizer, tmp_path):
    "Else invented colors would come back as known ones"
    colorizer.colorize(PHOTOS['cat']).save(tmp_path/'made.png')
    with pytest.raises(ScanError, match='reference made.png was colored by a program'):
        colorizer.colorize(PHOTOS['cat'], references=tmp_path/'made.png')

def test_sepia_is_no_source_of_colors(colorizer):
    sepia = (data.camera()[...,None]*np.array([1, 0.86, 0.68])).astype(np.uint8)
    with pytest.raises(ScanError, match='of one tint'):
        as_reference(Scan(sepia))

def test_share_counts_chroma_and_not_area():
    ab = torch.zeros(1, 2, 8, 8)
    ab[...,:4] = 10. # the right half is gray
    weight = torch.ones(1, 1, 8, 8)
    weight[...,:4] = 0.25
    e = Evidence(ab, weight, weight, torch.zeros(1, 1, 8, 8, dtype=torch.int64))
    assert e.share(ab)==pytest.approx(0.25)
    assert e.share(torch.zeros_like(ab))==0

def test_a_network_without_an_encoder_says_so(tmp_path):
    from tiny import tiny_model
    c = Colorizer.from_pretrained(tiny_model(tmp_path/'tiny.safetensors'), device='cpu')
    with pytest.raises(ValueError, match='encoder'):
        c.colorize(PHOTOS['cat'], references=PHOTOS['coffee'])
    assert c.references([]) is None and c.references(None) is None
