"Flow and traces: motion that is known, in pictures made by NumPy"
import cv2, numpy as np, pytest
from colorized.film.flow import FlowField, Trace, blend, fill_holes, is_consistent

def scene(dx, dy, size=(120, 160)):
    "A smooth random picture, moved"
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (400, 500), np.uint8), (0, 0), 3)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    return wide[100-dy:100-dy+size[0], 100-dx:100-dx+size[1]].copy()

@pytest.mark.parametrize('dx, dy', [(0, 0), (4, 0), (-3, 5)])
def test_a_shift_is_found_both_ways(dx, dy):
    a,b,flow = scene(0, 0),scene(dx, dy),FlowField()
    there,back = flow(a, b),flow(b, a)
    inner = (slice(12, -12),)*2
    assert abs(there[inner]-(dx, dy)).mean()<0.3 and abs(back[inner]+(dx, dy)).mean()<0.3
    assert is_consistent(there, back)[inner].mean()>0.97

def test_threads_do_not_change_the_flow():
    import cv2
    a,b = scene(0, 0),scene(3, 2)
    before,flows = cv2.getNumThreads(),[]
    for n in (1, 2, 4):
        cv2.setNumThreads(n)
        flows.append(FlowField()(a, b))
    cv2.setNumThreads(before)
    assert all((o==flows[0]).all() for o in flows)

def test_what_something_hides_is_lost():
    "A square that moves over a still picture: what it uncovers was not there before"
    back = scene(0, 0)
    def view(x):
        out = back.copy()
        out[40:80, x:x+40] = 255-scene(7, 9)[40:80, :40]
        return out
    a,b,flow = view(40),view(52),FlowField()
    trace = Trace.start(a.shape).step(flow(b, a), is_consistent(flow(b, a), flow(a, b)))
    trace = trace.same_lightness(b, a)
    uncovered = trace.valid[44:76, 41:50]
    assert uncovered.mean()<0.3 and trace.valid[:30].mean()>0.9

def test_a_long_chain_does_not_blur():
    flow = FlowField()
    frames = [scene(2*i, 0) for i in range(11)]
    trace = Trace.start(frames[0].shape)
    for a,b in zip(frames, frames[1:]):
        trace = trace.step(flow(b, a), is_consistent(flow(b, a), flow(a, b)))
    key = frames[0].astype(np.float32)
    moved = trace.carry(np.dstack([key, key]))[...,0]
    inner = (slice(15, -15), slice(40, -15))
    assert abs(moved-frames[-1])[inner].mean()<6
    assert moved[inner].std()>0.95*frames[-1][inner].std()

def test_keyframes_fade_into_each_other():
    "Against equation (2), with all valid and with one side lost"
    shape = (20, 30)
    still,lost = Trace.start(shape),Trace(Trace.start(shape).at, np.zeros(shape, bool))
    a,b = np.full((*shape, 2), 10, np.float32),np.full((*shape, 2), 20, np.float32)
    for t in (0.25, 0.5, 0.9):
        assert np.allclose(blend(still, still, a, b, t)[0], 10*(1-t)+20*t, atol=0.02)
    c,holes = blend(still, lost, a, b, 0.9)
    assert np.allclose(c[5:-5,5:-5], 10, atol=0.2) and not holes.any()
    assert blend(lost, lost, a, b, 0.5)[1].all()

def test_holes_take_the_color_of_what_is_alike():
    L = np.full((40, 40), 50, np.uint8)
    L[:,20:] = 200
    chroma = np.zeros((40, 40, 2), np.float32)
    chroma[:,20:] = 30
    holes = np.zeros((40, 40), bool)
    holes[18:22,16:24] = True
    bad = chroma.copy()
    bad[holes] = -99
    assert abs(fill_holes(bad, holes, L)-chroma).max()<3
