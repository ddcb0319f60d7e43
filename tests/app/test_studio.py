"What the studio answers, and what it tells of a photograph that it cannot read"
import asyncio, json, shutil
from collections import namedtuple
from pathlib import Path
import pytest
from PIL import Image
from colorized.app.routes import _event_stream, make_app
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

def test_questions_take_their_arguments_alone(studio, bring):
    id = bring(PHOTO)
    color = dict(photo=id, seed=0, strokes=[], saturation=1)
    arguments = dict(read=dict(photo=id), color=color, sample=color, save=color,
        uncertainty=dict(photo=id, strokes=[]), shots=dict(photo=id),
        thumbnail=dict(photo=id, shot=0), frame=dict(photo=id, shot=0),
        paint=dict(photo=id, shot=0, strokes=[]), film=dict(photo=id, strokes=[]))
    assert set(arguments)==set(QUESTIONS)
    for question,right in arguments.items():
        assert studio.check_question(question, right)==right
        fewer = {k:v for k,v in right.items() if k!='photo'}
        for wrong in dict(right, progress=1), dict(right, photo=1), fewer, [], None:
            with pytest.raises(Refused):
                studio.check_question(question, wrong)
    for queue in studio.queues.values():
        queue.max_waiting = 0
    with pytest.raises(TooManyWaiting):
        studio.check_question('color', color)

STROKE = dict(color='#9c2f2c', radius=0.05, points=[[0.3,0.6], [0.4,0.6]])

def test_a_question_that_waits_is_small_and_about_a_photograph(studio, bring):
    "Anything else would be kept while it waits"
    id = bring(PHOTO)
    right = dict(photo=id, seed=0, strokes=[dict(STROKE, more=[[]]*99)], saturation=1)
    kept, = studio.check_question('color', right)['strokes']
    assert set(kept)==set(STROKE)
    for wrong,word in [(dict(photo='guess'), 'not here'), (dict(strokes=[[]]*9), 'strokes'),
            (dict(seed=[[]]*9), 'seed must be a number'), (dict(saturation='1'*999), 'saturation')]:
        with pytest.raises(Refused, match=word):
            studio.check_question('color', dict(right, **wrong))
    film = dict(photo=id, strokes=[[0, [STROKE]], [1, [STROKE]]])
    assert [k for k,_ in studio.check_question('film', film)['strokes']]==[0, 1]
    much = [[k, [dict(STROKE, points=[[0,0]]*7000)]] for k in range(3)]
    for wrong in [STROKE], [[[], [STROKE]]], [[0, [[]]]], much:
        with pytest.raises(Refused, match='shot|stroke|too much paint'):
            studio.check_question('film', dict(film, strokes=wrong))

@pytest.mark.parametrize('body, said', [
    (b'{"photo"', 'This question stopped arriving'), (bytes(2_000_001), 'too long')])
def test_a_question_arrives_in_time_and_is_short(tmp_path, body, said):
    sent,more = [],iter([dict(type='http.request', body=body, more_body=True)])
    async def receive(): return next(more, None) or await asyncio.sleep(30)
    async def send(message): sent.append(message)
    app = make_app(Studio(None, tmp_path, Limits(silence=0.05)))
    scope = dict(type='http', method='POST', path='/questions/color', query_string=b'',
                 headers=[(b'host', b'localhost')])
    async def ask(): await asyncio.wait_for(app(scope, receive, send), 10)
    asyncio.run(ask())
    assert sent[0]['status'] in (400, 413) and said in sent[1]['body'].decode()

def test_only_the_last_photographs_stay_encoded(studio, bring):
    "Each takes 35 MB; one that was asked for earlier is encoded again, and colored as before"
    studio.visitors.limits.ready = 2
    ids = [bring(PHOTO) for _ in range(4)]
    encoded = lambda: [studio.visitors.photo(o).session is not None for o in ids]
    first = studio.sample(ids[0], 0, [STROKE], 1)
    for o in ids[1:3]:
        studio.read(o)
    studio.visitors.photo(ids[1]) # any question counts
    studio.read(ids[3])
    assert encoded()==[False, True, False, True]
    assert studio.sample(ids[0], 0, [STROKE], 1)==first

def test_strokes_are_drawn_while_others_have_the_network(studio, bring, monkeypatch):
    id,drawn = bring(PHOTO),[]
    session = studio._session(id)
    hints = session.hints
    def noted(strokes):
        drawn.append(len(studio._network._line)) # turns that are taken or asked for
        return hints(strokes)
    monkeypatch.setattr(session, 'hints', noted)
    studio.sample(id, 0, [STROKE], 1)
    assert drawn==[0]
