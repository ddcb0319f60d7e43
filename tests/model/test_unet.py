"The network against plain NumPy and PyTorch, and what its inputs do to its output"
import math
import numpy as np, pytest, torch, torch.nn.functional as F
from colorized.model.layers import Attention, Norm, ResBlock, time_embedding
from colorized.model.unet import ColorNet, Condition, UNetConfig, has_native_bf16

torch.set_num_threads(1)
SMALL = UNetConfig(widths=(32,64), attention=(False,True), encoder=None)

def gen(seed=0): return torch.Generator().manual_seed(seed)

def awake(net, seed=0):
    "A network whose layers that start at zero answer, too"
    torch.manual_seed(seed)
    for p in net.parameters():
        if not p.any():
            torch.nn.init.normal_(p, std=0.1)
    return net.eval().requires_grad_(False)

@pytest.fixture(scope='module')
def net(): return awake(ColorNet(SMALL))

def ask(net, L, hints=None, seed=0, t=500):
    n,_,H,W = L.shape
    size = H//net.cfg.factor,W//net.cfg.factor
    x_t = torch.randn(n, net.cfg.channels, *size, generator=gen(seed))
    with torch.no_grad():
        return net(x_t, torch.full((n,), t), net.condition(L, hints))

def test_time_embedding_is_vaswanis():
    t = np.array([0, 1, 999])
    k = np.arange(32)
    angles = t[:,None]/10_000**(k/32)
    want = np.concatenate([np.cos(angles), np.sin(angles)], 1)
    np.testing.assert_allclose(time_embedding(torch.from_numpy(t), 64).numpy(), want, atol=1e-4)

def test_attention_is_softmax_of_scaled_products():
    "Head by head, in NumPy; with gradients, without, and in bfloat16 other kernels are used"
    block = awake(Attention(64, 4, 32))
    x = torch.randn(1, 64, 3, 5, generator=gen())
    y = F.group_norm(x, 32, block.norm.weight, block.norm.bias).numpy()[0].reshape(64, 15)
    W,b = block.qkv.weight.numpy()[:,:,0,0],block.qkv.bias.numpy()
    q,k,v = (W@y+b[:,None]).reshape(3, 4, 16, 15)
    heads = []
    for i in range(4):
        s = q[i].T@k[i]/math.sqrt(16)
        p = np.exp(s-s.max(1, keepdims=True))
        heads.append(v[i]@(p/p.sum(1, keepdims=True)).T)
    out = np.concatenate(heads)
    out = block.out.weight.numpy()[:,:,0,0]@out + block.out.bias.numpy()[:,None]
    want = x.numpy()[0]+out.reshape(64, 3, 5)
    with torch.no_grad():
        np.testing.assert_allclose(block(x)[0].numpy(), want, atol=2e-3)
    np.testing.assert_allclose(block(x)[0].numpy(), want, atol=2e-3)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        np.testing.assert_allclose(block(x)[0].float().numpy(), want, atol=0.02)

def test_residual_block_step_by_step():
    block = awake(ResBlock(32, 64, 16, 32))
    x,emb = torch.randn(2, 32, 4, 4, generator=gen()),torch.randn(2, 16, generator=gen(1))
    h = F.silu(F.group_norm(x, 32, block.norm1.weight, block.norm1.bias))
    h = F.conv2d(h, block.conv1.weight, block.conv1.bias, padding=1)
    e = F.linear(F.silu(emb), block.emb.weight, block.emb.bias)
    scale,shift = e[:,:64,None,None],e[:,64:,None,None]
    h = F.group_norm(h, 32, block.norm2.weight, block.norm2.bias)*(1+scale)+shift
    h = F.conv2d(F.silu(h), block.conv2.weight, block.conv2.bias, padding=1)
    want = F.conv2d(x, block.skip.weight, block.skip.bias)+h
    torch.testing.assert_close(block(x, emb), want, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(block(x, emb), want, atol=2e-3, rtol=1e-3)

def test_norm_without_affine_and_with_one_group():
    norm = Norm(1, 12, affine=False)
    x = 5+torch.randn(2, 12, 3, 7, generator=gen())
    with torch.no_grad():
        torch.testing.assert_close(norm(x), F.group_norm(x, 1), atol=1e-3, rtol=1e-3)

def test_fresh_networks_predict_nothing():
    torch.manual_seed(0)
    assert not ask(ColorNet(SMALL), torch.rand(1, 1, 32, 48)*100).any()

@pytest.mark.parametrize('cfg', [SMALL, UNetConfig(widths=(32,64,64)),
    UNetConfig(widths=(32,32), attention=(True,False), blocks=2, encoder=None),
    UNetConfig(channels=3, factor=1, patch=1, widths=(32,64), attention=(False,)*2, encoder=None,
               hints=False)], ids=['small', 'encoder', 'two blocks', 'pixels'])
def test_every_input_counts(cfg):
    "Noise, step, lightness and hints change the output, which has the shape of the noise"
    net = awake(ColorNet(cfg))
    m = cfg.multiple
    L = torch.rand(2, 1, m, 2*m, generator=gen())*100
    base = ask(net, L)
    assert base.shape==(2, cfg.channels, m//cfg.factor, 2*m//cfg.factor) and base.is_contiguous()
    others = [ask(net, 100-L), ask(net, L, seed=1), ask(net, L, t=3)]
    if cfg.hints:
        hints = torch.zeros(2, cfg.channels+1, *base.shape[2:])
        assert torch.equal(ask(net, L, hints), base) # no hint is what no hints say
        hints[0,:,2:4,2:4] = 1.
        hinted = ask(net, L, hints)
        others.append(hinted)
        torch.testing.assert_close(hinted[1], base[1], atol=1e-4, rtol=1e-4)
        mask_only = hints.clone()
        mask_only[:,:-1] = 0
        others.append(ask(net, L, mask_only))
    for i,o in enumerate(others):
        assert (o-base)[0].abs().max()>1e-3, i

def test_encoder_features_count():
    net = awake(ColorNet(UNetConfig(widths=(32,64,64))))
    L = torch.rand(1, 1, 64, 64, generator=gen())*100
    cond = net.condition(L)
    assert {k: tuple(v.shape) for k,v in cond.features.items()}=={
        8: (1,32,8,8), 16: (1,32,4,4), 32: (1,64,2,2)}
    x,t = torch.randn(1, 2, 16, 16, generator=gen()),torch.tensor([500])
    with torch.no_grad():
        base = net(x, t, cond)
        for stride in (8, 16, 32):
            less = {k: v*(k!=stride) for k,v in cond.features.items()}
            assert (net(x, t, Condition(cond.L, less))-base).abs().max()>1e-4, stride

def test_attention_sees_the_whole_photograph():
    "Lightness changed in one corner moves the other one, which convolutions alone cannot reach"
    L = torch.rand(1, 1, 16, 512, generator=gen())*100
    changed = L.clone()
    changed[...,:16] = 100-changed[...,:16]
    far = lambda net: (ask(net, changed)-ask(net, L))[...,-4:].abs().max()
    conv = UNetConfig(widths=(32,64), attention=(False,False), encoder=None)
    assert far(awake(ColorNet(SMALL)))>1e-5
    norms_only = far(awake(ColorNet(conv))) # group norms reach everywhere, too, a little
    assert norms_only<far(awake(ColorNet(SMALL)))

def test_lightness_goes_in_scaled(net):
    cond = net.condition(torch.tensor([0., 50., 100.]).view(3, 1, 1, 1).expand(3, 1, 32, 32))
    assert cond.L.flatten(1).mean(1).tolist()==[-1., 0., 1.] and cond.features=={}

def test_shapes_that_do_not_fit(net):
    for shape in ((1, 1, 32, 40), (1, 2, 32, 32), (32, 32)):
        with pytest.raises(ValueError, match='divisible by 16'):
            net.condition(torch.zeros(shape))
    for shape in ((1, 2, 8, 8), (2, 3, 8, 8), (1, 3, 8, 9)):
        with pytest.raises(ValueError, match='hints must have shape'):
            net.condition(torch.zeros(1, 1, 32, 32), torch.zeros(shape))

@pytest.mark.parametrize('kwargs,word', [(dict(widths=(96,100,256)), 'groups'),
    (dict(widths=(96,160)), 'one entry for each'), (dict(encoder='lite9'), 'lite0'),
    (dict(heads=5), 'heads=5'), (dict(channels=0), 'channels: '), (dict(factor=0), 'factor: '),
    (dict(patch=-2), 'patch: '), (dict(blocks=0), 'blocks: '), (dict(heads=-4), 'heads: '),
    (dict(groups=-32), 'groups: '), (dict(heads=4.), 'heads: '), (dict(widths=(0,64,64)), 'widths'),
    (dict(widths=(-32,64,64)), 'widths: '), (dict(widths=(), attention=()), '1 to 16 widths'),
    (dict(widths=(33,), attention=(False,), groups=33, heads=1), 'first width must be even')])
def test_configurations_that_do_not_fit(kwargs, word):
    with pytest.raises(ValueError, match=word):
        UNetConfig(**kwargs)

def test_multiples():
    assert UNetConfig().multiple==32 and UNetConfig().cell==8
    assert SMALL.multiple==16
    assert UNetConfig(widths=(32,)*4, attention=(False,)*4).multiple==64
    assert UNetConfig(widths=[32], attention=[False]).widths==(32,)

def test_conditions_are_sliced_and_joined():
    rows = torch.arange(3.).view(3, 1, 1, 1)
    cond = Condition(rows, {8: rows}, rows, rows, rows, ['a', 'b', 'c'])
    cases = (cond[1:], [1, 2]),(cond[[2, 0, 2]], [2, 0, 2]),(cond.repeat(2), [0, 0, 1, 1, 2, 2])
    for some,want in cases:
        assert len(some)==len(want)
        for o in (some.L, some.features[8], some.hints, some.first_guess, some.confidence):
            assert o.flatten().tolist()==want
        assert some.similarity==['abc'[i] for i in want]
    other = cond.with_hints(rows+1)
    assert other.hints is not cond.hints and other.similarity==cond.similarity
    assert other.first_guess is None and other.confidence is None
    plain = Condition(rows, {8: rows})
    both = Condition.cat([plain, plain[1:2]])
    assert both.L.flatten().tolist()==both.features[8].flatten().tolist()==[0, 1, 2, 1]
    assert plain[[1]].similarity is None and plain[[1]].hints is None

@pytest.mark.parametrize('machine,says,instructions,want', [
    ('x86_64', True, True, True), ('AMD64', True, False, False), ('x86_64', True, False, False),
    ('x86_64', False, False, False), ('x86_64', True, None, True),
    ('aarch64', True, False, True), ('arm64', False, False, False)])
def test_bfloat16_only_where_it_is_native(monkeypatch, machine, says, instructions, want):
    "oneDNN says yes to all of AVX-512; PyTorch before 2.6 cannot tell them apart"
    monkeypatch.setattr('platform.machine', lambda: machine)
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported', lambda: says)
    if instructions is None:
        monkeypatch.delattr(torch.cpu, '_is_avx512_bf16_supported', raising=False)
    else:
        monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda: instructions,
                            raising=False)
    assert has_native_bf16(torch.device('cpu')) is want
    assert has_native_bf16(torch.device('meta')) is False
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: False)
    assert has_native_bf16(torch.device('cpu')) is False
