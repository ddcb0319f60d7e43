"Folders are matched and counted, and a function gives the same figures as its files."
import json, math, os
import numpy as np, pytest, torch
from PIL import Image
from colorized.evaluation import folders as E
from colorized.inference.colorizer import Colorizer
from colorized.photo.lab import rgb_to_L, to_uint8
from .samples import Thumbnail, save, spoil, tinted

pytestmark = pytest.mark.filterwarnings('ignore:FID from')
BRIEF = dict(classifier=None, size=64)

def evaluate(true, out, **kw):
    return E.evaluate_folders(true, out, **{'extractor': Thumbnail(), **BRIEF, **kw})

def test_identical_folders(small, tmp_path):
    a,b = [save(tmp_path/o, small, list('abcdef')) for o in 'ab']
    report = evaluate(a, b)
    found = report['colorized']
    assert found['fid'].value==pytest.approx(0, abs=1e-4) and found['kid'].value==0
    assert found['delta_e2000'].value==0 and found['ssim'].value==pytest.approx(1)
    assert found['psnr'].value==pytest.approx(58.92, abs=0.01)
    assert 'top1_agreement' not in found and 'diversity' not in found
    assert set(report.columns)=={'colorized', 'gray', 'mean chroma', 'truth'}
    assert report['truth']['fid'].n==3 and report['gray']['colorfulness'].value==0

def test_folders_are_matched_and_counted(photos, tmp_path):
    true = save(tmp_path/'true', photos[:4], ['x/1', 'x/2', 'y/1', '3'], 'webp')
    out = save(tmp_path/'out', photos[1:5], ['x/2_c', 'y/1_c', '3_c', 'z_c'])
    said = []
    report = evaluate(true, out, ending='_c', progress=said.append)
    assert report.only_true==['x/1'] and report.only_colorized==['z']
    assert report['colorized']['psnr'].n==3 and 'x/1' in report.markdown()
    assert '3 photographs' in report.protocol and 'central 64×64' in report.protocol
    back = json.loads(report.to_json())
    assert back['only_true']==['x/1'] and back['columns']['gray']['fid']['n']==3
    assert back['columns']['colorized']['kid']['extractor']=='thumbnail'
    assert said[:2]==[f'reading 3 photographs of {o}' for o in (true, out)]

def test_protocol_depends_on_the_names_alone():
    "What may be compared today must be comparable with figures of last year"
    assert E._protocol('/some/val', ['a', 'x/b'], 256)==(
        'val (2 photographs, fa194ac2), shorter side 256, central 256×256, 8-bit sRGB')

def test_the_protocol_names_the_folder_however_it_is_called(tmp_path, monkeypatch):
    val = tmp_path/'val'
    (val/'x').mkdir(parents=True)
    monkeypatch.chdir(val)
    for folder in ('.', 'x/..', '../val', val, f'{val}/'):
        assert E._protocol(folder, ['a', 'x/b'], 256).startswith('val (2 photographs, fa194ac2)')

def test_what_only_one_of_two_systems_colored(small, tmp_path):
    "is not in every folder; that it has no coloring would be wrong"
    true,a,b = [save(tmp_path/o, small) for o in ('true', 'a', 'b')]
    (b/'0.png').unlink()
    report = evaluate(true, a, other_dir=b)
    assert report.only_true==['0']
    assert '- 1 photograph not in every colorized folder: 0' in report.markdown()

def test_files_that_are_no_photographs(small, tmp_path):
    folder = save(tmp_path/'o', small[:2], ['b', 'a'])
    (folder/'a.txt').write_text('no photograph')
    (folder/'c.png').mkdir()
    (folder/'._b.png').write_bytes(b'what macOS keeps beside b.png')
    save(folder, small[:1], ['.cache/b'])
    save(folder, small[:1], ['x/d'], 'JPG')
    assert list(E.list_photos(folder))==['a', 'b', 'x/d']
    assert E.list_photos(folder)['x/d']==folder/'x/d.JPG'

@pytest.mark.slow
def test_two_systems_are_compared_photograph_by_photograph(tiles, tmp_path):
    """The difference is that of the columns; between systems that err on the same photographs its
    interval is narrower than theirs, and of a system and itself it is zero"""
    tiles = tiles[::2]
    true,a,b = [save(tmp_path/name, rgb) for name,rgb in dict(
        true=tiles, a=spoil(tiles, 0.5), b=spoil(tiles, 0.4)).items()]
    report = evaluate(true, a, other_dir=b)
    neighbors = {'gray', 'mean chroma', 'truth'}
    assert set(report.columns)=={'colorized', 'other', *neighbors, 'colorized − other'}
    ours,other,apart = [report[o] for o in ('colorized', 'other', 'colorized − other')]
    for k,o in apart.items():
        assert o.value==pytest.approx(ours[k].value-other[k].value, abs=1e-9), k
    for k in ('kid', 'delta_e2000', 'colorfulness_error'):
        assert apart[k].low < apart[k].value < apart[k].high < 0, k
    width = lambda o: o['delta_e2000'].high-o['delta_e2000'].low
    assert width(apart) < width(other)/2
    alone = evaluate(true, a)
    assert alone['colorized']==ours and 'diversity' not in ours
    same = evaluate(true, a, other_dir=a)['colorized − other']
    assert all((o.value, o.low, o.high)==(0, 0, 0) for o in same.values())
    (b/'0.png').unlink()
    assert evaluate(true, a, other_dir=b).only_true==['0']

def test_folders_that_do_not_fit(photos, tmp_path):
    true = save(tmp_path/'true', photos[:3])
    (tmp_path/'empty').mkdir()
    with pytest.raises(ValueError, match='empty has 0 of the 3 photographs in .*true: at least 2'):
        evaluate(true, tmp_path/'empty')
    copy = save(tmp_path/'copy', photos[:3])
    with pytest.raises(ValueError, match='copy and .*empty has 0 of the 3'):
        evaluate(true, copy, other_dir=tmp_path/'empty')
    with pytest.raises(NotADirectoryError, match='nowhere'):
        evaluate(true, tmp_path/'nowhere')
    narrow = save(tmp_path/'small', photos[:3,:,:,:128])
    with pytest.raises(ValueError, match=r'0.png has 128×256 pixels, but .*0.png has 256×256'):
        evaluate(true, narrow)
    bad = save(tmp_path/'bad', photos[:3])
    (bad/'1.png').write_bytes((bad/'1.png').read_bytes()[:2000])
    with pytest.raises(ValueError, match='bad/1.png: truncated'):
        evaluate(true, bad)
    twice = save(tmp_path/'twice', photos[:3])
    save(twice, photos[:1], ext='jpg')
    with pytest.raises(ValueError, match='one name'):
        evaluate(true, twice)
    with pytest.raises(ValueError, match="none of the 1 labels .* such as '0'"):
        evaluate(true, copy, labels={'cat': 3})
    with pytest.raises(ValueError, match='at least 11×11 pixels'):
        evaluate(true, copy, size=4)

def test_the_truth_is_not_compared_with_itself(small, tmp_path):
    true,out = [save(tmp_path/o, small) for o in ('true', 'out')]
    for args in (dict(out=true), dict(out=out, more=[true]), dict(out=out, other_dir=true),
                 dict(out=true/'..'/'true', ending='_c')):
        with pytest.raises(ValueError, match='true holds the true photographs'):
            evaluate(true, **args)

def test_what_a_program_colored_is_no_truth(gray, model, small, tmp_path):
    "Outputs beside their originals: they are left out, and that is said"
    colorizer = Colorizer.from_pretrained(model, device='cpu')
    true = save(tmp_path/'true', small[:3])
    made = colorizer.colorize(gray, steps=1)
    made.save(true/'0.colorized.png')
    with pytest.warns(UserWarning, match='1 of 4 files in .*true were colored by a program'):
        report = E.evaluate_model(tinted, true, Thumbnail(), **BRIEF)
    assert report['colorized']['psnr'].n==3 and '(3 photographs' in report.protocol
    out = save(tmp_path/'out', small[:3])
    made.save(true/'1.png', overwrite=True)
    with pytest.warns(UserWarning, match='1 of 3 files in .*true were colored by a program'):
        report = evaluate(true, out)
    assert report['colorized']['delta_e2000'].value==0 and report['colorized']['psnr'].n==2
    (true/'0.png').unlink()
    with pytest.raises(ValueError, match='1 of 2 .* at least 2 true photographs are needed'):
        evaluate(true, out)

def test_models_that_cannot_be_judged(photos, tmp_path):
    true = save(tmp_path/'true', photos[:1])
    with pytest.raises(ValueError, match='n_samples must be at least 1, got 0'):
        E.evaluate_model(None, true, n_samples=0)
    with pytest.raises(ValueError, match='has 1 photographs: at least 2 are needed'):
        E.evaluate_model(None, true)

def test_what_is_missing_is_said_before_anything_is_colored(small, tmp_path):
    true = save(tmp_path/'true', small)
    with pytest.raises(ValueError, match="must be one of .* got 'lite3'"):
        E.evaluate_model(None, true, 'lite3')
    with pytest.raises(ValueError, match="must be one of .* got 'lite4'"):
        E.evaluate_model(None, true, Thumbnail(), 'lite4')
    with pytest.raises(ValueError, match='none of the 1 labels'):
        E.evaluate_model(None, true, Thumbnail(), None, labels={'cat': 3})

def test_names_that_are_no_text(small, tmp_path):
    names = [os.fsdecode(b'caf\xe9'), 'b', 'c']
    try:
        true,out = [save(tmp_path/o, small[:3], names) for o in ('true', 'out')]
    except OSError:
        pytest.skip('this file system takes valid names only')
    assert evaluate(true, out)['colorized']['psnr'].n==3

def test_load_crop(photos, tmp_path):
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:,100:200] = 200
    Image.fromarray(wide).save(tmp_path/'w.png')
    crop,size = E.load_crop(tmp_path/'w.png', 100)
    assert size==(300, 100) and crop.shape==(3, 100, 100) and (crop==200).all()
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(wide).save(tmp_path/'r.jpg', exif=exif)
    assert E.load_crop(tmp_path/'r.jpg', 64)[1]==(100, 300)
    Image.fromarray(np.full((70, 70), 257*90, np.uint16)).save(tmp_path/'g.png')
    assert (E.load_crop(tmp_path/'g.png', 64)[0]==90).all()
    assert E.load_crop(tmp_path/'g.png')[0].shape==(3, 256, 256) # what is smaller is enlarged

def test_crop_of_an_odd_shape():
    "Rounding leaves no side too short, and the middle is that of the whole photograph"
    for shape in ((333, 250), (250, 333), (129, 128), (64, 2000)):
        ramp = np.broadcast_to(np.linspace(0, 255, shape[1])[:,None,None], (shape[1], shape[0], 3))
        crop = E.center_crop(Image.fromarray(ramp.astype(np.uint8)), 96)
        assert crop.shape==(3, 96, 96) and crop.dtype==torch.uint8
        assert crop.float().mean()==pytest.approx(127, abs=2)

def test_model_and_folder_agree(small, tmp_path):
    "The same colors through a function and through files: the same figures"
    true = save(tmp_path/'true', small)
    out = save(tmp_path/'out', to_uint8(tinted(rgb_to_L(small))))
    gray = save(tmp_path/'gray', spoil(small, 0.))
    said = []
    model = E.evaluate_model(tinted, true, Thumbnail(), **BRIEF, n_samples=2, progress=said.append)
    folder = evaluate(true, out, more=(gray,))
    for k,o in folder['colorized'].items():
        if k!='diversity': assert o-model['colorized'][k]==pytest.approx(0, abs=1e-9), k
    assert model['colorized']['diversity'].value==0
    assert folder['colorized']['diversity'].value==pytest.approx(math.hypot(10, 20), rel=0.15)
    assert said[:2]==[f'coloring 6 photographs, sample {i} of 2' for i in (1, 2)]

def test_the_first_sample_is_judged(small, tmp_path):
    "A model is called so often for each batch; the first answers are its colors"
    true = save(tmp_path/'true', small)
    calls = []
    def colorize(L):
        calls.append(len(L))
        return tinted(L) if len(calls)<=2 else tinted(L, (-10., -20.))
    both = E.evaluate_model(colorize, true, Thumbnail(), **BRIEF, n_samples=2, bs=4)
    once = E.evaluate_model(tinted, true, Thumbnail(), **BRIEF)
    assert calls==[4, 2, 4, 2] and both['colorized'].pop('diversity').value>30
    for k,o in once['colorized'].items():
        assert both['colorized'][k]-o==pytest.approx(0, abs=1e-9), k

def test_top1_with_and_without_labels(photos, tmp_path):
    names = ['coffee', 'cat', 'astronaut', 'rocket', 'china', 'flower']
    true = save(tmp_path/'true', photos, names)
    gray = lambda L: (L/100).expand(-1,3,-1,-1)
    said = E.evaluate_model(gray, true, Thumbnail(), bs=2)
    labels = dict(coffee=967, flower=985)
    labeled = E.evaluate_model(gray, true, Thumbnail(), labels=labels)
    agreement,accuracy = said['truth'],labeled['truth']
    assert 'top1_accuracy' not in agreement and 'top1_agreement' not in accuracy
    agreement,accuracy = agreement['top1_agreement'],accuracy['top1_accuracy']
    assert (agreement.value, agreement.n)==(1, 6) and (accuracy.value, accuracy.n)==(1, 2)
    with pytest.raises(ValueError, match='measured differently'):
        said['gray']['top1_agreement'] < labeled['gray']['top1_accuracy']
