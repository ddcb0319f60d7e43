"What a browser may send for strokes, and how they are drawn"
import time
import numpy as np, pytest
from PIL import Image, ImageDraw
from colorized.app.strokes import check_strokes, draw_strokes

RED = dict(color='#9C2F2C', radius=0.05, points=[[0.3,0.6],[0.4,0.6]])

@pytest.mark.parametrize('change', [dict(color='red'), dict(color='#9c2f2'), dict(color=7),
    dict(color='#9c2f2c;'), dict(radius=10**400), dict(radius=0), dict(radius=0.51),
    dict(radius='nan'), dict(points=[]), dict(points=[[0,0,0]]),
    dict(points=[[2.01,0]]), dict(points=[[0,-1.01]]), dict(points=7),
    dict(points=[['x',0]]), dict(points=[[float('inf'),0]])])
def test_strokes_that_are_none(change):
    check_strokes([RED])
    with pytest.raises(ValueError, match='stroke'):
        check_strokes([RED, dict(RED, **change)])

def test_strokes_are_cleaned():
    got, = check_strokes([dict(RED, radius='0.05', more='left behind')])
    assert got==dict(color='#9c2f2c', radius=0.05, points=[(0.3,0.6), (0.4,0.6)])
    assert len(check_strokes([RED]*200))==200
    assert check_strokes([dict(RED, points=[[0,0]]*20000)])

def test_a_stroke_keeps_its_shape_at_any_size():
    small,large = [np.asarray(draw_strokes([RED], s))[...,3]>0 for s in ((60,90), (600,900))]
    assert abs(small.mean()-large.mean())<0.2*large.mean()
    assert large[360,270:360].all() and large[360,[270-28,360+28]].all()
    assert not large[360,[270-32,360+32]].any() # the radius is 30, of the shorter side

def plainly_drawn(strokes, shape):
    "Each point a disc"
    (H,W),im = shape,Image.new('L', shape[::-1])
    pen = ImageDraw.Draw(im)
    for o in strokes:
        r,line = max(1, o['radius']*min(H,W)),[(x*W, y*H) for x,y in o['points']]
        pen.line(line, fill=255, width=max(1, round(2*r)))
        for x,y in line:
            pen.ellipse([x-r, y-r, x+r, y+r], fill=255)
    return np.asarray(im)>0

@pytest.mark.parametrize('radius', [0.005, 0.02, 0.05, 0.2])
def test_points_close_together_make_no_difference(radius):
    "The page sends one each 0.004; a tight curl, then a line"
    t = np.arange(0, 4*np.pi, 0.03)
    curl = [[0.3+0.1*np.cos(o), 0.5+0.1*np.sin(o)] for o in t]
    o = dict(RED, radius=radius, points=curl+[[0.4+i/250, 0.5] for i in range(100)])
    got = np.asarray(draw_strokes([o], (600, 900)))[...,3]>0
    want = plainly_drawn([o], (600, 900))
    assert (got!=want).sum()<0.01*want.sum()

def test_there_is_an_end_to_paint():
    "A question of 20,000 discs, each half as broad as the photograph, took a minute"
    rng = np.random.default_rng(0)
    much = dict(RED, radius=0.5, points=rng.uniform(-0.5, 1.5, (20000, 2)).tolist())
    start = time.process_time()
    with pytest.raises(ValueError, match='too much paint on this photograph'):
        draw_strokes(check_strokes([much]), (1280, 1280))
    assert time.process_time()-start<8
    at_rest = dict(RED, radius=0.5, points=[[0.5, 0.5+i/10**6] for i in range(20000)])
    assert np.asarray(draw_strokes([at_rest], (64, 96)))[...,3].any()
    many = [dict(RED, points=[[i/30, k/200] for i in range(30)]) for k in range(200)]
    draw_strokes(check_strokes(many), (600, 900)) # all that one may send, of a usual brush
