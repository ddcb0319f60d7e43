"The exported graphs color as PyTorch does; an export is whole and known by its hashes"
import json, shutil, sys
from pathlib import Path
import numpy as np, onnx, pytest, torch
from colorized import Colorizer
from colorized.export.folder import MANIFEST, describe, export_model, read_manifest
from colorized.export.runtime import OnnxSampler
from colorized.model.unet import ColorNet, UNetConfig

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root/'tools'))
import try_page

@pytest.fixture(scope='module')
def colorizer():
    torch.set_num_threads(1)
    c = Colorizer.from_pretrained(device='cpu')
    c.bf16,c.max_rows = False,1
    return c

@pytest.fixture(scope='module')
def folder(): return try_page.exported_model()

@pytest.fixture(scope='module')
def other(colorizer, folder): return OnnxSampler(colorizer, folder)

def distance(a, b): return (a.ab-b.ab).norm(dim=1)

@pytest.mark.parametrize('name,settings', [
    ('campus-1910', {}),
    ('nipomo-1936', dict(seed=5, working_size=256)),
    ('buffalo-1908', dict(working_size=256, hints=[(200, 100, 'navy', 20)]))])
def test_the_same_chroma_as_pytorch(colorizer, other, name, settings):
    photo = root/f'nbs/images/{name}.jpg'
    want,got = [c.colorize(photo, **settings) for c in (colorizer, other)]
    assert want.ab.norm(dim=1).mean()>3 # it has colors
    assert distance(want, got).max()<0.5

@pytest.mark.parametrize('changes', [
    dict(sampler='ddim'), dict(sampler='ddpm'), dict(average=False), dict(anchor=False)])
def test_all_samplers_and_guidance(colorizer, other, gray, changes):
    def color(c):
        settings = c.settings.changed(**changes, min_size=128)
        changed = Colorizer(c.net, c.config, device='cpu', settings=settings)
        changed.bf16,changed.max_rows = c.bf16,c.max_rows
        return changed.colorize(gray, working_size=128, seed=1)
    assert distance(color(colorizer), color(other)).max()<0.5

def test_several_photographs_at_once(colorizer, other):
    "As `evaluate_model` gives them: each as it would be alone"
    L = torch.linspace(0, 100, 2*64*96).view(2, 1, 64, 96)
    rgb = other.colorize_batch(L, [1, 2], steps=2)
    assert (rgb-colorizer.colorize_batch(L, [1, 2], steps=2)).abs().max()<0.01
    alone = other.colorize_batch(L[1:], [2], steps=2)
    assert torch.allclose(rgb[1:], alone, atol=1e-4) and (rgb[0]-rgb[1]).abs().max()>0.1

def test_weights_are_stored_in_half_precision(folder):
    for name in 'encoder', 'denoiser':
        model = onnx.load(folder/f'{name}.onnx')
        onnx.checker.check_model(model)
        assert model.opset_import[0].version==18
        large = [w for w in model.graph.initializer if np.prod(w.dims)>=64]
        assert len(large)>30 and {w.data_type for w in large}<={onnx.TensorProto.FLOAT16,
                                                                onnx.TensorProto.INT64}
        sides = [d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim]
        assert all(sides[2:]), 'sides are dynamic'

def test_the_manifest_tells_the_truth(colorizer, folder):
    manifest = read_manifest(folder)
    told = {k: manifest[k] for k in describe(colorizer)}
    assert told==json.loads(json.dumps(describe(colorizer)))
    assert manifest['sha256']==colorizer.sha256
    assert set(manifest['files'])=={o.name for o in folder.iterdir()}-{'manifest.json'}

@pytest.mark.parametrize('shape', [
    dict(widths=(32,64), attention=(False,True)), dict(widths=(32,)*4, attention=(False,)*4),
    dict(factor=2), dict(factor=8), dict(factor=2, patch=4), dict(factor=8, patch=1)], ids=str)
def test_networks_of_another_shape(tmp_path, colorizer, shape):
    "Training makes them, and the graphs do not fit them"
    net = ColorNet(UNetConfig(**{'widths': (32,32,64), **shape}))
    with pytest.raises(ValueError, match='encoder, factor 4, patch 2 and three widths'):
        export_model(Colorizer(net, colorizer.config, device='cpu'), tmp_path/'none')
    assert not (tmp_path/'none').exists()

@pytest.mark.parametrize('text', [b'{"format":1}', b'[]', b'{"format": 1, "fi', b'\xff\xfe{}', b'7',
    b'{"format": 1, "files": {"srgb.icc": 3}}', b'[' * 100_000])
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path/MANIFEST).write_bytes(text)
    with pytest.raises(ValueError, match=f'{tmp_path.name}/{MANIFEST} is damaged'):
        read_manifest(tmp_path)

@pytest.mark.parametrize('text', [
    b'{"type": "Manifest", "items": []}', b'["icons"]', b'{"name": "a web app", "fi'])
def test_a_manifest_of_something_else_is_not_replaced(tmp_path, colorizer, text):
    "Such as that of an album of `colorized iiif`"
    (tmp_path/MANIFEST).write_bytes(text)
    with pytest.raises(FileExistsError, match=f'{tmp_path.name}/{MANIFEST} exists already'):
        export_model(colorizer, tmp_path)
    assert [(o.name, o.read_bytes()) for o in tmp_path.iterdir()]==[(MANIFEST, text)]

def test_a_manifest_of_another_format(tmp_path):
    (tmp_path/MANIFEST).write_text('{"format": 2}')
    with pytest.raises(ValueError, match='has format 2, this version reads 1'):
        read_manifest(tmp_path)

def test_two_models_without_a_hash_are_not_taken_for_one(tmp_path, colorizer, folder):
    unknown = shutil.copytree(folder, tmp_path/'web')
    manifest = json.loads((unknown/MANIFEST).read_text())
    (unknown/MANIFEST).write_text(json.dumps({**manifest, 'sha256': None}))
    in_memory = Colorizer(colorizer.net, colorizer.config, device='cpu')
    with pytest.raises(ValueError, match='exported from a network in memory'):
        OnnxSampler(in_memory, unknown)

def test_what_cannot_be_exported_is_refused(tmp_path, colorizer, folder):
    net = ColorNet(UNetConfig(widths=(32,32), attention=(False,False), encoder=None))
    plain = Colorizer(net, colorizer.config, device='cpu')
    with pytest.raises(ValueError, match='encoder'):
        export_model(plain, tmp_path/'none')
    assert not (tmp_path/'none').exists()
    with pytest.raises(ValueError, match='holds the model'):
        OnnxSampler(plain, folder)

