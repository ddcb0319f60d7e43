"What the studio answers, and what it tells of a photograph that it cannot read"
import asyncio, json, shutil
from collections import namedtuple
from pathlib import Path
import pytest
from PIL import Image
from colorized.app.routes import _event_stream
from colorized.app.studio import QUESTIONS, Studio, TooManyWaiting
from colorized.app.visitors import Limits, Refused
from colorized.photo.scan import ScanError

PHOTO = Path(__file__).resolve().parents[2]/'nbs/images/riverfront-1931.jpg'

@pytest.fixture
def studio(colorizer, tmp_path):
    s = Studio(colorizer, tmp_path, Limits(megapixels=1))
    yield s
    s.close()
    s.join()

@pytest.fixture
def bring(studio, tmp_path_factory):
    visitor = studio.visitors.add()
    def go(file, name='a.jpg'):
        id = studio.visitors.add_photo(visitor, name)
        shutil.copy(file, studio.visitors.photo(id).path)
        return id
    return go

def test_a_coloring_needs_no_reading_before(studio, bring):
    answer = studio.color(bring(PHOTO), 0, [], 1)
    assert answer['image'].startswith('data:image/jpeg;base64,') and answer['clipped'] is False

def test_a_photograph_is_read_once(studio, bring):
    id = bring(PHOTO)
    first = studio.read(id)
    session = studio.visitors.photo(id).session
    assert studio.read(id)==first and studio.visitors.photo(id).session is session
    about = {k: first[k] for k in ('name', 'width', 'height', 'bits', 'format')}
    assert about==dict(name='a.jpg', width=720, height=501, bits=8, format='JPEG')

def test_only_the_last_download_is_kept(studio, bring):
    id = bring(PHOTO)
    told = []
    first = studio.save(id, 0, [], 1, told.append)
    second = studio.save(id, 0, [], 1.5, told.append)
    assert told==[1, 1] # small enough for one strip
    (_,_,old),(_,_,new) = [o['url'].split('/') for o in (first, second)]
    assert studio.download(id, new).name=='a.colorized.jpg'
    with pytest.raises(Refused):
        studio.download(id, old)
    home = studio.visitors.photo(id).path.parent
    folder, = home.glob('files-*')
    assert [o.name for o in folder.iterdir()]==['a.colorized.jpg']
    assert {o.name for o in home.iterdir()}=={'original', folder.name}

@pytest.mark.slow
def test_uncertainty_counts_its_eight_colorings(studio, bring):
    told = []
    answer = studio.uncertainty(bring(PHOTO), [], told.append)
    assert told==[i/8 for i in range(1, 9)]
    assert answer['image'].startswith('data:image/webp;base64,')

def test_what_cannot_be_read_is_forgotten_and_no_path_is_told(studio, bring, tmp_path_factory):
    folder = tmp_path_factory.mktemp('bad')
    (folder/'torn').write_bytes(PHOTO.read_bytes()[:20_000])
    (folder/'letter').write_text('Dear Anna')
    Image.new('L', (1001,1000)).save(folder/'huge', 'PNG')
    for name,why in dict(torn='the file is incomplete', letter='not a photograph',
            huge='megapixels').items():
        id = bring(folder/name, f'{name}.jpg')
        with pytest.raises(Refused) as e:
            studio.read(id)
        said = str(e.value)
        assert said.startswith(f'“{name}.jpg” could not be opened: ') and why in said
        assert not any(o in said for o in ('/', 'original', 'Error', 'max_pixels')), said
        with pytest.raises(Refused, match='not here any more'):
            studio.color(id, 0, [], 1)
    assert not list(studio.visitors.folder.iterdir())

@pytest.fixture
def told(studio):
    "What the page says when a file is not made; nothing of it is left"
    def go(id):
        arguments = dict(photo=id, seed=0, strokes=[], saturation=1)
        async def hear():
            return [o async for o in _event_stream(studio.ask('save', arguments))]
        *_,last = [o for o in asyncio.run(hear()) if o.startswith('data: ')]
        home = studio.visitors.photo(id).path.parent
        assert [o.name for o in home.rglob('*') if o.is_file()]==['original']
        return json.loads(last[6:])['error']
    return go

def test_a_file_that_is_not_made_is_told_in_our_words(studio, told, bring, monkeypatch, caplog):
    id = bring(PHOTO, 'Anna: 1910.jpg')
    def fail(error):
        def f(*args): raise error
        return f
    for error,said in [
            (OSError(28, 'No space left on device', '/tmp/x'), 'No space left on device.'),
            (MemoryError(), 'too large for the memory of this computer.'),
            (ScanError('JPEG holds at most 9 pixels a side'),
             '“Anna: 1910.jpg” could not be saved: JPEG holds at most 9 pixels a side.')]:
        with monkeypatch.context() as m:
            m.setattr('colorized.photo.writing.encode_image', fail(error))
            got = told(id)
        assert got.endswith(said) and not any(o in got for o in ('/', 'Errno', 'files-')), got
    assert [o.getMessage() for o in caplog.records]==[
        "a file could not be written: [Errno 28] No space left on device: '/tmp/x'"]
    with monkeypatch.context() as m:
        m.setattr('colorized.photo.reading._open_file', fail(MemoryError()))
        said = "“Anna: 1910.jpg” could not be saved: too large for this computer's memory."
        assert told(id)==said
    usage = namedtuple('usage', 'total used free')
    most = 10**8+3*720*501
    monkeypatch.setattr(shutil, 'disk_usage', lambda o: usage(1, 1, most-1))
    assert told(id)=='There is no room left on the disk for “Anna: 1910.jpg”.'
    monkeypatch.setattr(shutil, 'disk_usage', lambda o: usage(1, 1, most))
    assert studio.save(id, 0, [], 1)['name']=='Anna: 1910.colorized.jpg'

def test_who_removes_a_photograph_while_it_is_saved_is_told_that(studio, bring):
    id = bring(PHOTO)
    with pytest.raises(Refused, match='not here any more'):
        studio.save(id, 0, [], 1, lambda done: studio.visitors.remove_photo(id))
    assert not list(studio.visitors.folder.iterdir())

def test_questions_take_their_arguments_alone(studio):
    color = dict(photo='a', seed=0, strokes=[], saturation=1)
    arguments = dict(read=dict(photo='a'), color=color, sample=color, save=color,
        uncertainty=dict(photo='a', strokes=[]), shots=dict(photo='a'),
        thumbnail=dict(photo='a', shot=0), frame=dict(photo='a', shot=0),
        paint=dict(photo='a', shot=0, strokes=[]), film=dict(photo='a', strokes=[]))
    assert set(arguments)==set(QUESTIONS)
    for question,right in arguments.items():
        studio.check_question(question, right)
        fewer = {k:v for k,v in right.items() if k!='photo'}
        for wrong in dict(right, progress=1), dict(right, photo=1), fewer, [], None:
            with pytest.raises(Refused):
                studio.check_question(question, wrong)
    for queue in studio.queues.values():
        queue.max_waiting = 0
    with pytest.raises(TooManyWaiting):
        studio.check_question('color', color)
