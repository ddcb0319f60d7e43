"""The one way from photographs and seeds to chroma: the same in any company, every wrapper in place

Nothing here depends on what the weights have learnt; test_golden holds that."""
import itertools, math
from dataclasses import replace
import numpy as np, pytest, torch
from colorized.inference.colorizer import Colorizer
from colorized.inference.hints import hint_grid
from colorized.model import sampling
from colorized.model.checkpoint import ModelConfig, SamplingSettings
from colorized.model.sampling import ChromaSampler, best_device, sample_chroma, working_shape
from colorized.model.unet import ColorNet, UNetConfig
from colorized.photo.lab import rgb_to_lab
from colorized.photo.resampling import up_chroma
from colorized.photo.scan import Scan

torch.set_num_threads(1)

def close(a, b, worst=0.06):
    "Equal but for another order of summing up in bfloat16"
    scale = max(1., b.abs().max().item())
    return (a-b).abs().max()<worst*scale and (a-b).abs().mean()<worst/6*scale

def recorded(sampler, monkeypatch):
    "Rows of each call of the network"
    calls,real = [],sampler.denoise
    def denoise(x_t, t, cond):
        assert len(x_t)==len(t)==len(cond)
        calls.append(len(x_t))
        return real(x_t, t, cond)
    monkeypatch.setattr(sampler, 'denoise', denoise)
    return calls

# Company

@pytest.mark.parametrize('n', [1, 4, 5])
def test_as_on_a_graphics_card(packaged, L, n, monkeypatch):
    "Padding fills the last batch and is thrown away"
    cond = packaged.condition(L)
    want = packaged.sample(cond, list(range(n)), steps=2)
    monkeypatch.setattr(packaged, 'max_rows', 4)
    monkeypatch.setattr(packaged, 'pad_rows', True)
    calls = recorded(packaged, monkeypatch)
    got = packaged.sample(cond, list(range(n)), steps=2)
    assert got.shape==want.shape and close(got, want)
    assert calls==[4]*(1 + -(-n//4)), "the first step is common to all"

@pytest.mark.parametrize('hinted', [False, True])
def test_the_same_bits_in_any_batch_with_any_number_of_threads(L, gray, hinted):
    "Four in one call, one alone. Without bfloat16 all go alone, and threads do matter"
    c = Colorizer.from_pretrained(device='cpu')
    hints = hint_grid([(60, 60, 'red')], gray.shape, (64, 96)) if hinted else None
    cond = c.condition(L, hints)
    one = {i: c.sample(cond, [i], steps=2)[0] for i in (0, 3, 4)}
    assert not c.batch_is_exact # nothing to be tried for a single one
    assert c.max_rows==(4 if c.bf16 else 1)
    try:
        for threads in (1, 2) if c.bf16 else (1,):
            torch.set_num_threads(threads)
            five = c.sample(cond, list(range(5)), steps=2)
            assert all(torch.equal(five[i], o) for i,o in one.items()), threads
    finally:
        torch.set_num_threads(1)

def test_a_machine_that_rounds_otherwise_in_a_batch(L, monkeypatch):
    "is found out, once, and colors one by one"
    c = Colorizer.from_pretrained(device='cpu')
    cond = c.condition(L)
    want = torch.cat([c.sample(cond, [i], steps=2) for i in range(4)])
    monkeypatch.setattr(c, 'max_rows', 4)
    calls,real = [],c.denoise
    def denoise(x_t, t, cond):
        calls.append(len(x_t))
        return real(x_t, t, cond)*(1+1e-2*(len(x_t)>1))
    monkeypatch.setattr(c, 'denoise', denoise)
    assert torch.equal(c.sample(cond, [0, 1, 2, 3], steps=2), want)
    assert not any(c.batch_is_exact.values()) and calls==[1]+[4, 1]+[1]*4
    calls.clear()
    c.sample(cond, [0, 1, 2, 3], steps=2)
    assert calls==[1]*5

def test_large_photographs_go_one_by_one(packaged, monkeypatch):
    monkeypatch.setattr(packaged, 'max_rows', 4)
    small,large = [packaged.condition(torch.full((1, 1, *o), 50.)) for o in ((64, 64), (512, 640))]
    monkeypatch.setattr(packaged, '_is_exact', lambda cond: True)
    assert packaged._rows_together(small, 4)==4 and packaged._rows_together(small, 3)==1
    assert packaged._rows_together(large, 4)==1

def test_different_photographs_in_one_call(packaged, L):
    Ls = [L, L.flip(2), 100-L]
    together = packaged.sample(packaged.condition(torch.cat(Ls)), [7, 8, 9], steps=2)
    for i,o in enumerate(Ls):
        alone = packaged.sample(packaged.condition(o), [7+i], steps=2)
        assert close(together[i], alone[0])
    for seeds in ([1, 2], [1, 2, 3, 4], []):
        with pytest.raises(ValueError, match=f'3 photographs.*got {len(seeds)}'):
            packaged.sample(packaged.condition(torch.cat(Ls)), seeds, steps=1)

def test_several_seeds_for_each_of_several_photographs(packaged, L):
    "The seeds of a photograph lie side by side"
    cond = packaged.condition(torch.cat([L, 100-L]))
    both = packaged.sample(cond, [7, 8, 7, 9], steps=2)
    for i,(k,seed) in enumerate([(0,7), (0,8), (1,7), (1,9)]):
        assert close(both[i], packaged.sample(cond[k:k+1], [seed], steps=2)[0])
    assert (both[0]-both[1]).abs().max()>1 and (both[0]-both[2]).abs().max()>1

def test_a_schedule_that_ends_before_pure_noise_shares_no_step():
    "A first guess is common to all samples only where the first state holds nothing but noise"
    for zero,steps in ((True, 2), (False, 3)):
        schedule = dict(kind='cosine', n_steps=20, zero_terminal=zero)
        config = ModelConfig(UNetConfig(widths=(32,64,64)), schedule, param='v')
        torch.manual_seed(0)
        c = ChromaSampler(ColorNet(config.net), config, 'cpu')
        calls,real = [],c.denoise
        def denoise(x_t, t, cond):
            calls.append(t[0].item())
            return real(x_t, t, cond)
        c.denoise,c.max_rows = denoise,1
        c.sample(c.condition(torch.rand(1, 1, 64, 64)*100), [1, 2], steps=steps)
        assert calls.count(19)==(1 if zero else 2)

# Noise and steps

def test_noise_is_that_of_the_seed_scaled():
    "A denoiser that returns its input shows the noise; float32 on the CPU, image by image"
    tiny = UNetConfig(widths=(32,), attention=(False,), encoder=None)
    config = ModelConfig(tiny, chroma_scale=3.)
    net = ColorNet(config.net)
    cond = net.condition(torch.zeros(2, 1, 32, 48))
    seen = []
    settings = SamplingSettings(steps=3, temperature=0.5)
    look = lambda i, t, x_t, x0_hat: seen.append((t, x_t.clone()))
    out = sample_chroma(lambda x_t, t, cond: 0*x_t+1, config, cond, [5, 9], settings, look)
    want = [torch.randn(2, 8, 12, generator=torch.Generator().manual_seed(s)) for s in (5, 9)]
    assert torch.equal(seen[0][1], 0.5*torch.stack(want))
    assert [t for t,_ in seen]==[999, 539, 79] # the last step has 0.08 of the chain
    torch.testing.assert_close(out, torch.full_like(out, 3.)) # in CIELAB units
    with pytest.raises(ValueError, match='2 photographs need as many seeds, got 1'):
        sample_chroma(net, config, cond, [1])

def test_samplers_differ(packaged, L):
    cond = packaged.condition(L)
    draw = lambda name, seeds: packaged.sample(cond, seeds, steps=4, sampler=name)
    a,b,c = [draw(name, [0]) for name in ('dpmpp_2m', 'ddim', 'ddpm')]
    assert torch.equal(a, packaged.sample(cond, [0], steps=4))
    assert not torch.equal(a, b) and not torch.equal(b, c) and not torch.equal(a, c)
    assert close(draw('ddpm', [5, 0])[1], c[0]) # fresh noise is the seed's own, too

def test_settings_of_the_sampler_are_the_default(packaged, L):
    cond = packaged.condition(L)
    settings = packaged.settings.changed(steps=2, temperature=0.3)
    own = ChromaSampler(packaged.net, packaged.config, 'cpu', settings)
    want = packaged.sample(cond, [0], steps=2, temperature=0.3)
    assert torch.equal(own.sample(cond, [0]), want)
    assert not torch.equal(packaged.sample(cond, [0], steps=2), want)

def tiny(**schedule):
    "A sampler of a tiny network"
    net = UNetConfig(widths=(32,), attention=(False,), encoder=None)
    config = ModelConfig(net, dict(kind='cosine', n_steps=20, **schedule), param='v')
    return ChromaSampler(ColorNet(net), config, 'cpu')

@pytest.mark.parametrize('changes', [dict(gain=1e38), dict(anchor_gain=1e38),
                                     dict(average_restored=1e9)], ids=str)
def test_chroma_that_is_not_finite_is_an_error(packaged, L, changes):
    "It was a black picture"
    with pytest.raises(ValueError, match='^no finite chroma comes out: a setting'):
        packaged.sample(packaged.condition(L), [0], steps=3, **changes)

def test_broken_weights_color_nothing():
    c = tiny(zero_terminal=True)
    c.net.unet.out[-1].bias.data[:] = math.nan
    with pytest.raises(ValueError, match='or the weights are damaged$'):
        c.sample(c.condition(torch.full((1, 1, 16, 16), 50.)), [0])

def test_a_gain_that_would_do_nothing_is_refused():
    "Without zero terminal SNR no first guess is made, and nothing is multiplied"
    c = tiny()
    settings = replace(c.settings, gain=1.5)
    with pytest.raises(ValueError, match='^gain=1.5 needs a schedule'):
        ChromaSampler(c.net, c.config, 'cpu', settings)
    cond = c.condition(torch.full((1, 1, 16, 16), 50.))
    with pytest.raises(ValueError, match='^gain=1.5 needs a schedule'):
        c.sample(cond, [0], gain=1.5)
    assert c.sample(cond, [0], gain=1.).isfinite().all()
    assert ChromaSampler(c.net, tiny(zero_terminal=True).config, 'cpu', settings)

def test_a_gain_does_not_change_what_is_prepared(packaged, L):
    cond = packaged.condition(L)
    ready = packaged.prepare(cond)
    draw = lambda cond, gain: packaged.sample(cond, [0], steps=1, gain=gain)
    assert torch.equal(draw(ready, 2.), draw(cond, packaged.settings.gain))
    assert not torch.equal(draw(cond, 2.), draw(cond, packaged.settings.gain))

# The first guess, averaging, anchoring

def test_the_gain_multiplies_the_first_guess_and_spares_hints(packaged, L):
    """One step is the first guess. What it makes of hints is multiplied, too, so it sees them
    divided by the gain; where they lie, they come out as they went in"""
    grid = (64, 96)
    def one(gain, ab=None):
        hints = None
        if ab is not None:
            hints = torch.zeros(1, 3, *grid)
            hints[:,2,10:14,20:24] = 1.
            hints[:,:2,10:14,20:24] = torch.tensor(ab).view(1, 2, 1, 1)
        cond = packaged.condition(L, hints)
        return packaged.sample(cond, [0], steps=1, gain=gain, hint_reach=0., red_shrinkage=0.)
    assert torch.equal(one(2.), 2*one(1.)) and not torch.equal(one(2.), one(1.))
    gained,plain = one(2., [40.,-30.]),one(1., [20.,-15.])
    there = torch.zeros_like(gained, dtype=torch.bool)
    there[...,10:14,20:24] = True
    assert torch.equal(gained[~there], 2*plain[~there])
    want = torch.tensor([[40.], [-30.]])
    assert torch.allclose(gained[there].view(2, -1), want, atol=1e-3)

def test_prepare_adds_what_is_switched_on_and_keeps_what_is_there(packaged, L):
    cond = packaged.condition(L)
    with_all = packaged.prepare(cond)
    assert with_all.first_guess is not None and with_all.confidence is not None
    assert len(with_all.similarity)==1
    without = packaged.prepare(cond, packaged.settings.changed(average=False, anchor=False))
    assert without.similarity is None and without.confidence is None
    again = packaged.prepare(with_all)
    assert again.similarity[0] is with_all.similarity[0]
    assert torch.equal(packaged.sample(with_all, [3], steps=4), packaged.sample(cond, [3], steps=4))

@pytest.mark.parametrize('switch', ['average', 'anchor'])
def test_a_wrapper_that_is_switched_off_is_not_there(packaged, L, switch, monkeypatch):
    "Off is the same as a wrapper that does nothing; on is not"
    cond = packaged.condition(L)
    on = packaged.sample(cond, [0, 1])
    off = packaged.sample(cond, [0, 1], **{switch: False})
    assert (on-off).abs().max()>1
    name = dict(average='average_similar', anchor='anchor_small_regions')[switch]
    monkeypatch.setattr(sampling, name, lambda denoise, **kwargs: denoise)
    assert torch.equal(packaged.sample(cond, [0, 1]), off)

@pytest.mark.parametrize('hinted', [False, True])
@pytest.mark.slow
def test_small_regions_keep_the_color_of_the_first_guess(packaged, L, gray, monkeypatch, hinted):
    """Unsure of everything: the same bits as without. Sure of it all: seeds differ only by what the
    last step, which is left alone, makes of it. As it is: in between"""
    hints = hint_grid([(100, 64, 'red', 4)], gray.shape, (64, 96)) if hinted else None
    cond = packaged.condition(L, hints)
    sample = lambda **changes: packaged.sample(cond, [0, 1, 2], **changes)
    first = packaged.sample(cond, [0], steps=1)
    free,kept = sample(anchor=False),sample()
    sure_of = lambda c: lambda first, *args: torch.full((len(first), 1, *first.shape[2:]), c)
    monkeypatch.setattr(sampling, 'small_region_confidence', sure_of(0.))
    assert torch.equal(sample(), free) and not torch.equal(kept, free)
    monkeypatch.setattr(sampling, 'small_region_confidence', sure_of(1.))
    all_kept = sample()
    distance = lambda ab: (ab-first).pow(2).mean().sqrt()
    spread = lambda ab: ab.var(0).mean().sqrt()
    for far in (distance, spread):
        assert far(all_kept)<far(kept)<far(free)

def test_confidence_is_measured_in_cielab_units(packaged, L, monkeypatch):
    seen = []
    def confidence(first, chroma, around):
        seen.append((first.abs().max().item(), chroma, around))
        return torch.zeros(len(first), 1, *first.shape[2:])
    monkeypatch.setattr(sampling, 'small_region_confidence', confidence)
    packaged.prepare(packaged.condition(L))
    largest = packaged.sample(packaged.condition(L), [0], steps=1).abs().max().item()
    assert abs(seen[0][0]-largest)<0.01*largest and seen[0][1:]==(8., 1/6)

# Hints

def test_weak_reds_are_shrunk_last_and_hints_are_not(packaged, L, monkeypatch):
    "Whatever is red in this photograph, here all of it is"
    monkeypatch.setattr(sampling, 'shrink_reds', lambda ab, strength: ab*(1-strength/2))
    hints = hint_grid([(60, 60, '#b08070')], (256, 384), (64, 96))
    draw = lambda h, s: packaged.sample(packaged.condition(L, h), [0], steps=4, red_shrinkage=s)
    plain,shrunk = draw(None, 0.),draw(None, 1.)
    assert torch.equal(shrunk, plain/2)
    before,after = draw(hints, 0.),draw(hints, 1.)
    there = (hints[:,-1:]>0).expand_as(before)
    assert there.any() and torch.allclose(after[there], before[there], atol=1e-4)
    cond = packaged.condition(L, hints)
    given = packaged.sample(cond, [0], plain=shrunk, steps=4, red_shrinkage=1.)
    assert torch.equal(given, after)

def test_a_hint_reaches_what_looks_alike(packaged):
    "A dark and a bright half: what the network makes of a hint in one of them counts there only"
    L = torch.full((1, 1, 256, 384), 25.)
    L[...,192:] = 88.
    hints = hint_grid([(60, 128, 'navy', 12)], (256, 384), (64, 96), L[...,::4,::4])
    cond = packaged.condition(L, hints)
    plain = packaged.sample(cond.with_hints(None), [0], steps=4)
    hinted = packaged.sample(cond, [0], steps=4)
    alone = packaged.sample(cond, [0], steps=4, hint_reach=0.)
    moved = lambda ab, *part: (ab-plain).norm(dim=1)[0][part].mean()
    near,far = (slice(28, 36), slice(8, 22)),(slice(None), slice(60, None))
    assert moved(alone, *far)>3 # the network takes it for a word on the light
    assert moved(hinted, *far)<0.35*moved(alone, *far)
    k,on,change = sampling.hint_influence(cond),cond.hints[:,2:],alone-plain
    size = change.norm(dim=1, keepdim=True)
    most = size[on>0].max()
    assert moved(hinted, *near)>0.9*most # around the hint as much as at it,
    assert moved(alone, *near)>most      # where the network exaggerates
    want = plain+k*change*torch.where(size>most, most/size, 1.)
    assert torch.allclose(hinted, want, atol=1e-3) and k.amax()==1
    assert (hinted-plain).norm(dim=1).max()<=most*1.0001
    there = on[0,0]>0
    assert torch.allclose(hinted[0][:,there], alone[0][:,there], atol=1e-4) # obeyed to the letter

def test_in_company_only_those_with_hints_follow_them(packaged, gray):
    L = Scan(gray).thumbnail_L((128, 192))
    hinted = packaged.condition(L, hint_grid([(60, 60, 'red')], gray.shape, (32, 48)))
    none = torch.zeros_like(hinted.hints)
    both = packaged.condition(torch.cat([L, L])).with_hints(torch.cat([hinted.hints, none]))
    a,b = packaged.sample(both, [0, 0], steps=2)
    plain = packaged.sample(packaged.condition(L), [0], steps=2)
    assert torch.equal(b, plain[0]) and not torch.equal(a, b)
    known = packaged.sample(hinted, [0], plain=plain, steps=2)
    assert torch.equal(known, packaged.sample(hinted, [0], steps=2))

def test_with_hints_agreement_goes_on_and_gives_nothing_back(packaged, monkeypatch):
    seen = []
    def remember(denoise, **kwargs):
        seen.append(kwargs)
        return denoise
    for name in ('average_similar', 'anchor_small_regions'):
        monkeypatch.setattr(sampling, name, remember)
    for hinted,want in ((False, (0.7, 1/3, 1.2, 10.)), (True, (0., 1., 1., 10.))):
        seen.clear()
        packaged._denoiser(packaged.settings, hinted)
        average,anchor = seen
        got = average['restored'],average['until_snr'],anchor['gain'],anchor['until_snr']
        assert got==want

# Pictures

def test_as_many_seeds_as_pictures(packaged, L):
    for seeds in [],[1,2]:
        with pytest.raises(ValueError, match=f'1 photographs need as many seeds, got {len(seeds)}'):
            packaged.colorize_batch(L, seeds, steps=1)
    with pytest.raises(ValueError, match='L must be'): packaged.colorize_batch(L[0], [1], steps=1)

def test_pictures_keep_their_lightness_and_take_the_chroma(packaged, L):
    rgb = packaged.colorize_batch(L, [3], steps=2)
    assert rgb.shape==(1, 3, *L.shape[2:]) and rgb.min()>=0 and rgb.max()<=1
    lab = rgb_to_lab(rgb)
    assert (lab[:,:1]-L).abs().max()<0.01
    ab = packaged.sample(packaged.condition(L), [3], steps=2)
    want = up_chroma(ab, L.shape[-2:], L)
    inside = (lab[:,1:]-want).norm(dim=1)<0.1
    assert inside.float().mean()>0.95 # the others do not fit sRGB

@pytest.mark.parametrize('shape,size,want', [((600,900), 384, (384,576)),
    ((900,600), 384, (576,384)), ((300,300), 384, (352,352)),
    ((100,3000), 384, (256,4096)), ((1,1), 384, (256,256)), ((5000,5000), 64, (64,64))])
def test_working_shapes(shape, size, want):
    assert working_shape(shape, size)==want

def test_sides_are_always_multiples():
    assert working_shape((100, 5000), 384, 32, 251)==(256, 4000)
    assert working_shape((1, 1), 32, 32, 1)==(32, 32)
    shapes = (1, 1),(1, 9999),(9999, 1),(255, 4097),(17, 9999)
    for m,n,least,shape in itertools.product((8, 32, 96), (1, 3, 12), (1, 100, 251, 256), shapes):
        assert not any(o%m for o in working_shape(shape, n*m, m, least))

def test_working_shapes_of_other_networks():
    assert working_shape((100,100), 128, 16, 64)==(112,112)
    for bad in (0, 100, -256):
        with pytest.raises(ValueError, match=f'working_size.*{bad}'):
            working_shape((10,10), bad)

def test_a_device_that_is_not_there():
    config = ModelConfig(UNetConfig(widths=(32,), attention=(False,), encoder=None))
    missing = 'cuda' if not torch.cuda.is_available() else 'mps'
    for device in (missing, 0, 'cuda:99', 'foo', 'meta', '', object()):
        if device==0 and best_device().type!='cpu': continue # a number means a graphics card
        with pytest.raises(ValueError, match=f'^device {device}: this machine has none, or this'):
            ChromaSampler(ColorNet(config.net), config, device)

def test_global_randomness_is_left_alone(packaged, L):
    torch.manual_seed(1)
    np.random.seed(1)
    a = torch.get_rng_state(),np.random.get_state()[1].copy()
    packaged.sample(packaged.condition(L), [0], steps=2)
    assert torch.equal(a[0], torch.get_rng_state())
    assert np.array_equal(a[1], np.random.get_state()[1])

@pytest.mark.parametrize('cuda,mps,want', [
    (True, True, 'cuda'), (True, False, 'cuda'), (False, True, 'mps'), (False, False, 'cpu')])
def test_the_best_device(monkeypatch, cuda, mps, want):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: mps)
    assert best_device()==torch.device(want)

def test_working_shapes_by_default_and_just_over_a_half():
    assert working_shape((1000, 1000))==working_shape((1000, 1000), 384)==(384, 384)
    # 534 · 384 / 512 = 400.5, which is 12.516 multiples of 32
    assert working_shape((512, 534), 384, multiple=32)==(384, 416)
