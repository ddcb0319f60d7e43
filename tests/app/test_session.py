"Sessions against the library"
from pathlib import Path
import numpy as np, pytest
from PIL import Image
from colorized.app.session import PhotoSession
from colorized.app.strokes import draw_strokes
from colorized.photo.scan import Scan, ScanError
from colorized.photo.reading import read_scan

PHOTO = Path(__file__).resolve().parents[2]/'nbs/images/riverfront-1931.jpg'
RED = dict(color='#9C2F2C', radius=0.05, points=[[0.3,0.6],[0.4,0.6]])

@pytest.fixture(scope='module')
def session(colorizer):
    return PhotoSession(colorizer, PHOTO, 'river.jpg')

def test_colorings_are_those_of_the_library(session, colorizer, tmp_path):
    hints = draw_strokes([RED], session.shape)
    want = colorizer.colorize(PHOTO, seed=4, hints=hints, saturation=1.3)
    want.save(tmp_path/'want.jpg')
    path,remarks = session.write(tmp_path, 4, [RED], 1.3)
    assert path.name=='river.colorized.jpg' and remarks==[]
    got,want = [np.asarray(Image.open(o)) for o in (path, tmp_path/'want.jpg')]
    assert np.array_equal(got, want)

def test_corrections_are_told(session):
    plain,corrected = session.provenance(1),session.provenance(1, [RED], 1.2)
    said = lambda o: str(vars(o))
    assert '#9c2f2c at 216,301' in said(corrected) and 'corrections' not in said(plain)
    assert "'hints': True" in said(corrected) and "'hints': False" in said(plain)
    assert corrected.seed==1

def test_what_was_computed_is_kept_but_not_for_ever(session, monkeypatch):
    calls = []
    def sample(cond, seeds, plain=None):
        calls.append(seeds)
        return seeds[0]
    monkeypatch.setattr(session.colorizer, 'sample', sample)
    monkeypatch.setattr(session, '_chroma', {})
    for seed in [*range(200), *range(200)]:
        assert session.chroma(seed)==seed
    assert len(calls)==200
    session.chroma(200) # the oldest has to go
    session.chroma(0)
    assert len(calls)==202 and len(session._chroma)==200

def test_pictures_of_the_screen(session):
    assert session.image(0).size==(720,501)
    assert max(session.image(0, side=320).size)==320
    gray = np.ptp(np.asarray(session.image(0, saturation=0.)).astype(int), axis=2)
    assert gray.max()<=1
    assert session.uncertainty([0, 1]).size==(480,334)

@pytest.mark.parametrize('level,clipped', [(0,True), (8,True), (9,False), (246,False), (247,True)])
def test_white_and_black_take_no_color(level, clipped):
    s = PhotoSession.__new__(PhotoSession)
    s.small = Scan(np.full((64,96), 128, np.uint8))
    s.small.pixels[30:50,20:50] = level
    assert s.is_clipped([dict(RED, points=[[0.3,0.6]])])==clipped
    assert not s.is_clipped([dict(RED, points=[[0.3,0.6]]), dict(RED, points=[[0.8,0.2]])])

def test_what_cannot_be_read(colorizer, tmp_path):
    (tmp_path/'letter.jpg').write_text('Dear Anna')
    with pytest.raises(ScanError, match='not a photograph'):
        PhotoSession(colorizer, tmp_path/'letter.jpg')
    with pytest.raises(ScanError, match='megapixels'):
        PhotoSession(colorizer, PHOTO, max_pixels=1000)

def test_what_cannot_be_written_is_written_as_png(colorizer, tmp_path):
    Image.open(PHOTO).convert('L').resize((60,40)).save(tmp_path/'small.gif')
    session = PhotoSession(colorizer, tmp_path/'small.gif')
    path,_ = session.write(tmp_path, 0)
    assert session.format=='PNG' and path.name=='small.colorized.png'
    assert read_scan(path).format=='PNG'
