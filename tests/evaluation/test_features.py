"Extractors recognize things, see eight bits, and say what is missing."
import subprocess, sys, types
import pytest, torch
from colorized.evaluation import features as F

@pytest.mark.parametrize('name', ['lite1', 'lite2'])
def test_extractors_recognize_photographs(photos, name):
    "The order of the state dict is right, and the features are those of the logits"
    net = F.get_extractor(name)
    feats = F.extract_features(photos[[0,1,4,5]], net)
    assert feats.shape==(4, 1280) and feats.dtype==torch.float64
    coffee,cat,china,flower = net.logits(feats).argmax(1).tolist()
    assert coffee==967 and cat in (281, 282, 285) and china in (698, 832)
    assert flower==985 or name=='lite2' # which takes it for a honeycomb
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    assert net.name==name

def test_extractor_input_is_eight_bit(photos, lite1):
    x = photos[:1]
    seen = F.extract_features(x, lite1)
    assert torch.equal(seen, F.extract_features(x.float()/255, lite1))
    # 0.3 of a step rounds away
    assert torch.equal(seen, F.extract_features(x.float()/255+0.3/255*(x<200), lite1))

@pytest.mark.parametrize('n', [1, 15, 16, 17, 37])
def test_batches_are_put_together_in_order(n):
    sizes = []
    def measure(a, b):
        sizes.append(len(a))
        return a-b
    a,b = torch.arange(n),torch.ones(n)
    out = F.map_batches(measure, a, b)
    assert torch.equal(out, torch.arange(n).double()-1) and out.dtype==torch.float64
    assert max(sizes)<=16 and sum(sizes)==n

def test_missing_things_are_named(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="'lite0'"):
        F.get_extractor('lite0')
    with pytest.raises(FileNotFoundError, match='weights-inception-2015-12-05'):
        F.InceptionExtractor(tmp_path/'no.pth')
    (tmp_path/'other.pth').write_bytes(b'something else')
    with pytest.raises(ValueError, match='SHA-256'):
        F.InceptionExtractor(tmp_path/'other.pth')
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match=r'timm is missing.*colorized\[evaluate\]'):
        F.LiteExtractor('lite1')

def test_weights_of_another_network_are_refused(lite1, tmp_path):
    state = {k: v[:1] if v.ndim else v for k,v in lite1.net.state_dict().items()}
    torch.save(state, tmp_path/'other.pth')
    with pytest.raises(ValueError, match="other.pth does not fit timm's tf_efficientnet_lite1"):
        lite1._load(tmp_path/'other.pth')

def test_inception(monkeypatch, photos):
    """With random weights in place of the download: the right network, fed with eight-bit
    photographs; and a clear error offline"""
    fx = pytest.importorskip('torch_fidelity.feature_extractor_inceptionv3')
    def offline(*args, **kw): raise OSError('no network')
    monkeypatch.setattr(fx, 'load_state_dict_from_url', offline)
    with pytest.raises(OSError, match='weights-inception-2015-12-05.*checkpoints.*lite1'):
        F.get_extractor('inception')
    monkeypatch.setattr(fx, 'load_state_dict_from_url', lambda *a, **k: {})
    monkeypatch.setattr(fx.FeatureExtractorInceptionV3, 'load_state_dict', lambda self, state: None)
    feats = F.extract_features(photos[:1].float()/255, 'inception')
    assert feats.shape==(1, 2048) and feats.isfinite().all()

def test_inception_takes_the_file_that_it_is_given(monkeypatch, tmp_path):
    "Its hash begins as that of the file of 2015; torch-fidelity wants a string"
    asked = []
    class Network(torch.nn.Module):
        def __init__(self, *args, **kw):
            super().__init__()
            asked.append((args, kw))
    module = types.SimpleNamespace(FeatureExtractorInceptionV3=Network)
    monkeypatch.setattr(F, 'require_module', lambda *_: module)
    monkeypatch.setattr(F, 'sha256_of', lambda _: '6726825d'+'0'*56)
    (tmp_path/'w.pth').touch()
    net = F.InceptionExtractor(tmp_path/'w.pth')
    how = dict(feature_extractor_weights_path=str(tmp_path/'w.pth'))
    assert asked==[(('inception-v3-compat', ['2048']), how)]
    assert net.name=='inception' and not net.training

def test_import_is_light():
    "Importing all of evaluation loads none of the heavy optional packages, nor fastai"
    heavy = 'torchmetrics timm skimage sklearn torch_fidelity torchvision fastai'
    code = f"""
import sys
from colorized.evaluation import features, distances, color, measurement, report, folders
print([m for m in {heavy.split()} if m in sys.modules])"""
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip()=='[]'
