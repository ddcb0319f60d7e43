"Hints: none is lost, none is misread, what does not fit is named"
import json, numpy as np, pytest, torch
from PIL import Image
from skimage import color
from colorized.inference import hints
from colorized.inference.hints import _draw_points, hint_grid
from colorized.model.sampling import working_shape

def lab(rgb): return color.rgb2lab(np.array(rgb, float).reshape(1,1,3)/255)[0,0]

@pytest.mark.parametrize('name', ['green', (0, 128, 0), '#008000', np.array([0, 128, 0])], ids=str)
def test_colors_may_be_said_in_any_way(gray, name):
    grid = hint_grid([(120, 80, name)], gray.shape, (64, 96))
    there = grid[0,2]>0
    want = torch.tensor(lab((0, 128, 0))[1:]).float()
    assert there.any() and torch.allclose(grid[0,:2,there].mean(1), want, atol=0.5)
    assert not grid[0,:2,~there].any()

def test_where_a_point_lies():
    "The cell that holds it, whatever the shape of the photograph"
    grid = hint_grid([(390, 10, 'red', 3)], (100, 400), (25, 100))
    rows,columns = grid[0,2].nonzero().unbind(1)
    assert abs(rows.float().mean()-2)<1 and abs(columns.float().mean()-97)<1

def test_a_radius_is_in_pixels_of_the_photograph():
    area = lambda r: hint_grid([(200, 200, 'red', r)], (400, 400), (100, 100))[0,2].sum().item()
    for r in (20, 60):
        assert abs(area(r)-np.pi*(r/4)**2)<0.12*np.pi*(r/4)**2+8

def test_several_hints_keep_their_colors():
    hints = [(50, 50, 'red', 12), (150, 50, 'navy', 12)]
    grid = hint_grid(hints, (100, 200), (25, 50))
    for x,name in ((12, (255, 0, 0)), (37, (0, 0, 128))):
        assert np.abs(grid[0,:2,12,x].numpy()-lab(name)[1:]).max()<0.5

def test_saturation_follows_the_lightness():
    "As much chroma for its lightness as was asked for: less where it is darker, never more"
    L = torch.tensor([10., 53.24, 90.]).repeat_interleave(32).expand(1, 1, 32, 96)
    hints = [(x, 32, 'red', 20) for x in (32, 96, 160)]
    grid = hint_grid(hints, (64, 192), (32, 96), L)
    chroma = [grid[0,:2,16,x].norm().item() for x in (16, 48, 80)]
    full = np.hypot(*lab((255, 0, 0))[1:])
    np.testing.assert_allclose(chroma, [full*10/53.24, full, full], rtol=0.01)

def test_an_overlay_and_points_say_the_same(gray, tmp_path):
    over = Image.new('RGBA', gray.shape[::-1])
    over.paste((0, 128, 0, 255), (100, 60, 140, 100))
    over.save(tmp_path/'h.png')
    a,b,c,d = [hint_grid(o, gray.shape, (64, 96))
               for o in (over, tmp_path/'h.png', str(tmp_path/'h.png'), np.asarray(over))]
    assert torch.equal(a, b) and torch.equal(a, c) and torch.equal(a, d)
    assert 19**2<=a[0,2].sum()<=20**2 # 40 pixels of 200 are 19.2 of 96 cells
    clear = hint_grid(Image.new('RGBA', gray.shape[::-1]), gray.shape, (64, 96))
    assert clear.shape==(1,3,64,96) and not clear.any()

def test_half_transparent_paint_keeps_its_color():
    "Color is averaged where there is paint only; a cell counts from a fifth of it on"
    over = np.zeros((40, 40, 4), np.uint8)
    over[:,:20] = 200,40,40,128
    over[:,20:] = 255,255,255,40 # too thin to count
    grid = hint_grid(over, (40, 40), (10, 10))
    assert grid[0,2,:,:5].all() and not grid[0,2,:,5:].any()
    assert np.abs(grid[0,:2,5,2].numpy()-lab((200, 40, 40))[1:]).max()<1

def test_a_point_smaller_than_a_cell_is_seen():
    grid = hint_grid([(1800, 2975, 'red', 5)], (4000, 3000), (128, 96))
    assert grid[0,2].any()

def test_no_point_is_lost_on_a_small_photograph():
    "Where a pixel covers several cells, and the disc lies between two pixels"
    for H,W in ((20, 30), (60, 80), (100, 150), (480, 640)):
        grid = [o//4 for o in working_shape((H, W))]
        for x,y in ((0, 0), (W-1, H-1), (W-0.01, H-0.01), (9.3, 14.6), (7.5, 3.5), (12, 8.49)):
            there = hint_grid([(x, y, 'navy')], (H, W), grid)[0,2]
            assert there.any(), (H, W, x, y)
            rows,columns = there.nonzero().float().mean(0)
            assert abs(rows+0.5-(y+0.5)*grid[0]/H)<=2+grid[0]/H
            assert abs(columns+0.5-(x+0.5)*grid[1]/W)<=2+grid[1]/W

def test_an_overlay_as_large_as_a_photograph_may_be(monkeypatch, tmp_path):
    "Pillow takes more than 179 megapixels for a bomb; what does not fit is refused unread"
    over = Image.new('RGBA', (60, 40))
    over.paste((0, 128, 0, 255), (10, 10, 30, 30))
    over.save(tmp_path/'h.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    opened = []
    real = open
    def remember(*args):
        opened.append(real(*args))
        return opened[-1]
    monkeypatch.setattr(hints, 'open', remember, raising=False)
    assert hint_grid(tmp_path/'h.png', (40, 60), (10, 15))[0,2].any()
    with pytest.raises(ValueError, match='60×40'):
        hint_grid(tmp_path/'h.png', (40, 61), (10, 15))
    assert len(opened)==2 and all(o.closed for o in opened)
    (tmp_path/'h.png').write_bytes((tmp_path/'h.png').read_bytes()[:90])
    with pytest.raises((ValueError, OSError)):
        hint_grid(tmp_path/'h.png', (40, 60), (10, 15))

def test_a_huge_radius_covers_the_photograph(gray):
    "It covered nothing, or took minutes"
    for r in (350, 1e6, 1e9, 1e300):
        assert hint_grid([(5, 5, 'red', r)], gray.shape, (64, 96))[0,2].all()

@pytest.mark.parametrize('r', [float('inf'), float('nan'), -1])
def test_a_radius_that_is_none(gray, r):
    with pytest.raises(ValueError, match=f"^hint .5, 5, 'red', {r}.: radius must be a number of"):
        hint_grid([(5, 5, 'red', r), (80, 50, 'blue')], gray.shape, (64, 96))

@pytest.mark.parametrize('a,word', [
    (np.zeros((128, 200, 4)), r'\(128, 200, 4\) of float64'), (np.zeros((0,), np.uint8), r'\(0,\)'),
    (np.zeros((128, 200, 4), np.uint16), 'of uint16'), (np.zeros((128, 200), bool), 'of bool'),
    (np.zeros((128, 200, 5), np.uint8), r'\(128, 200, 5\) of uint8')])
def test_arrays_that_are_no_overlay(gray, a, word):
    with pytest.raises(ValueError, match=f'^an overlay of hints must be a .*, got .*{word}'):
        hint_grid(a, gray.shape, (64, 96))

def test_things_that_are_no_hints(gray):
    with pytest.raises(ValueError, match='^hints must be a list of .x, y, color. or an .*, got 5$'):
        hint_grid(5, gray.shape, (64, 96))
    points = [(5, 5, 'red')]
    a,b = [hint_grid(o, gray.shape, (64, 96)) for o in (points, iter(points))]
    assert torch.equal(a, b)

@pytest.mark.parametrize('hint,word', [((320, 10, 'red'), '320'), ((10, -1, 'red'), 'outside'),
    ((200, 10, 'red'), 'outside'), ((10, 128, 'red'), 'outside'),
    ((1, 1, 'crimsonish'), 'crimsonish'),
    ((1, 1, (300, 0, 0)), '300'), ((1, 1, (1, 2)), '0..255'), ((1, 1, (-1, 0, 0)), '0..255'),
    ((1, 1, (.2, .3, .4)), 'integer in 0..255'), ((1, 1), 'must be .x, y, color'),
    (60, 'hint 60 must be'), ((1, 1, 'red', 4, 99), 'must be .x, y, color'),
    ((1, 1, 'red', 'large'), 'radius'), ((1, 1, 'red', -1), 'radius'),
    ((1, 1, 'red', np.nan), 'radius'), ((1, 1, 'red', np.inf), 'radius'),
    ('red', 'hint .red. must be')], ids=str)
def test_hints_that_do_not_fit(gray, hint, word):
    with pytest.raises(ValueError, match=word):
        hint_grid([hint], gray.shape, (64, 96))

def test_points_in_a_file(gray, tmp_path):
    points,path = [[40, 50, 'navy'], [80.5, 60, [200, 30, 30], 12]],tmp_path/'points.JSON'
    path.write_text(json.dumps(points))
    assert torch.equal(*[hint_grid(o, gray.shape, (64, 96)) for o in (points, path)])
    assert hints.plain_points(points)==[[40, 50, '#000080'], [80.5, 60, '#c81e1e', 12]]
    for text,said in {'[[1, 1, ': 'is no JSON', '{"x": 1}': 'must hold a list', '[]': 'must hold',
                      '[[1, 1]]': r'hint \[1, 1\] must be', '[[1, 1, "crimsonish"]]': 'crimson',
                      '[[1e999, 1, "red"]]': 'outside'}.items():
        path.write_text(text)
        with pytest.raises(ValueError, match=said):
            hint_grid(path, gray.shape, (64, 96))

def test_an_overlay_without_transparency_is_none(gray):
    "As painting programs save it; taken for hints, its ground would make all the photograph white"
    for mode in ('RGB', 'L', 'RGBA'):
        with pytest.raises(ValueError, match='transparent'):
            hint_grid(Image.new(mode, gray.shape[::-1], 'white'), gray.shape, (64, 96))

def test_an_overlay_of_another_size(gray):
    with pytest.raises(ValueError, match='10×11.*200×128'):
        hint_grid(Image.new('RGBA', (10, 11)), gray.shape, (64, 96))

def test_a_file_that_holds_no_overlay_is_named(gray, tmp_path):
    "Not taken for the photograph"
    path,shape = tmp_path/'strokes.png',gray.shape
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 4), np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for data,said in ((whole[:-2000], 'cannot be read'), (b'no picture', 'no picture that can be')):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=rf'strokes\.png: {said}'):
            hint_grid(path, shape, (64, 96))
    Image.new('RGBA', (10, 11)).save(path)
    with pytest.raises(ValueError, match=r'strokes\.png: the overlay of hints is 10×11'):
        hint_grid(path, shape, (64, 96))

@pytest.mark.parametrize('shape,r', [((400, 100), 30), ((100, 400), 30), ((100, 100), 7.5)])
def test_a_point_covers_one_and_a_half_cells_of_the_longer_side(shape, r):
    "Otherwise it could slip between two of them"
    overlay = np.asarray(_draw_points([(50, 50, 'red')], shape, (10, 10)))[...,3]
    assert abs((overlay>0).any(0).sum()-min(2*r+1, shape[1]))<=1
    assert abs((overlay>0).any(1).sum()-min(2*r+1, shape[0]))<=1
    large = np.asarray(_draw_points([(50, 50, 'red', 40)], shape, (10, 10)))[...,3]
    assert abs((large>0).any(0).sum()-min(81, shape[1]))<=1

def test_a_point_at_the_very_edge():
    for hint in ((0, 0, 'red'), (99, 49, (255, 0, 0), 1)):
        assert hint_grid([hint], (50, 100), (10, 20))[0,2].any()
    for hint in ((100, 0, 'red'), (0, 50, 'red')):
        with pytest.raises(ValueError, match='outside the photograph of 100×50$'):
            hint_grid([hint], (50, 100), (10, 20))
    for rgb in ((0, 0, 255), (255, 255, 255)):
        assert hint_grid([(5, 5, rgb)], (50, 100), (10, 20))[0,2].any()
    for rgb in ((0, 0, 256), (-1, 0, 0), (1, 2), (1.5, 2, 3)):
        with pytest.raises(ValueError, match='each an integer in 0..255$'):
            hint_grid([(5, 5, rgb)], (50, 100), (10, 20))
