"What passes from frame to frame: the color of what stands still, and of what no keyframe shows"
import numpy as np, pytest, torch, torch.nn.functional as F
from colorized.film.propagation import Passing, Propagation, Spreader

class Wavering:
    "In place of the network: a gray-green that is another at each keyframe"
    def __init__(self, *colors): self.colors = list(colors)
    def colorize(self, L):
        h,w = [o//4 for o in L.shape[-2:]]
        return torch.full((1, 2, h, w), self.colors.pop(0))

def texture(w=256, h=128, seed=0, cell=8):
    "(1,1,h,w) lightness of 30 to 70 with detail everywhere"
    x = torch.rand(1, 1, h//cell, w//cell, generator=torch.Generator().manual_seed(seed))
    return 30+40*F.interpolate(x, size=(h, w), mode='bicubic').clamp(0, 1)

def spread(lightness, colors, follows=False, **settings):
    "(n,h/2,w/2) a* of the frames, and the tally; `follows`: the last one belongs to what follows"
    run = Spreader(Wavering(*colors), Propagation(**settings))
    passing = [Passing(i, L) for i,L in enumerate(lightness)]
    if follows:
        passing[-1].payload = None
    out = [ab[0,0] for _,ab in run(passing)]
    return torch.stack(out).numpy(),run.tally

@pytest.mark.parametrize('brighter', [0, 12/2.55])
def test_what_stands_still_keeps_four_fifths_of_its_color(brighter):
    "Equation (3) where nothing moves; exposure that changes as a whole is no motion"
    L = texture()
    frames = [L, L+brighter, L]
    a,_ = spread(frames, [10., 20., 10.], gap=1, carried=0)
    assert a.mean((1, 2))==pytest.approx([10, 12, 11.6], abs=0.01) and a.std((1, 2)).max()<0.01
    a,_ = spread([L]*5, [10., 20.], gap=4, carried=0) # between keyframes as well
    assert a.mean((1, 2))==pytest.approx([10, 10.5, 11.4, 12.62, 14.096], abs=0.02)
    a,_ = spread(frames, [10., 20., 10.], gap=1, carried=0, steady=0)
    assert a.mean((1, 2))==pytest.approx([10, 20, 10], abs=0.01)

def test_what_stands_still_meets_the_next_stretch():
    "Its first frame is the network's: the nearer it is, the less stays of the frame before"
    a,_ = spread([texture()]*5, [10., 20.], follows=True, gap=4, carried=0)
    assert a.mean((1, 2))==pytest.approx([10, 11, 13.4, 16.68], abs=0.02)

def test_what_moves_has_its_own_color():
    "A view that passes by: no color stays behind at its old place"
    wide = texture(600)
    frames = [wide[...,8*i:8*i+256] for i in range(3)]
    a,_ = spread(frames, [10., 20., 10.], gap=1, carried=0)
    assert a.mean((1, 2))==pytest.approx([10, 20, 10], abs=0.3)

def test_what_is_seen_between_keyframes_only_keeps_its_first_color():
    """A board that is held up between two keyframes while everything around it turns from 10 to 20:
    it is filled once and handed on, equation (2)"""
    L,board = texture(),texture(64, 48, seed=9)
    held = L.clone()
    held[...,40:88,96:160] = 85+(board-30)/3
    a,tally = spread([L, held, held, held, L], [10., 20.], gap=4, carried=0, steady=0)
    inside,outside = a[:,24:40,52:76],a[:,:,:30]
    assert outside.mean((1, 2))==pytest.approx([10, 12.5, 15, 17.5, 20], abs=0.2)
    assert np.ptp(inside[1:4], axis=0).max()<0.1 and abs(inside[1]-12.5).max()<0.5
    share = 48*64/(128*256)
    assert 0.7*share<tally.holes<1.5*share # of one frame of three

class Payload:
    "Knows how many there are"
    held = most = 0
    def __init__(self):
        Payload.held += 1
        Payload.most = max(Payload.most, Payload.held)
    def __del__(self): Payload.held -= 1

@pytest.mark.parametrize('moving', [0, 5, 30])
@pytest.mark.parametrize('each', [1, 6, 20])
def test_a_long_still_does_not_fill_memory(moving, each):
    "Behind frames that move, and each of them for a while: 36 repetitions wait, and a gap of 12"
    Payload.most,wide,n = 0,texture(64+4*30, 32),0
    def frames():
        for i in range(moving*each+3000):
            k = min(i//each, moving)
            new = i%each==0 and i<=moving*each
            yield Passing(Payload(), wide[...,4*k:4*k+64].contiguous() if new else None)
    run = Spreader(Wavering(*[10.]*99))
    for _,ab in run(frames()):
        n += 1
        assert abs(ab[0,0]-10).max()<0.01
    assert n==moving*each+3000 and Payload.held<3
    assert run.tally.repeated==n-moving-1 and Payload.most<12+36+5
