"The account of visitors: names as browsers send them, limits, what is left on the disk"
import asyncio, shutil, stat
from collections import namedtuple
import pytest
from colorized.app.visitors import Limits, Refused, Visitors

@pytest.fixture
def visitors(tmp_path):
    return Visitors(tmp_path, Limits(photos=3, megapixels=1, total=4, clip_seconds=0))

@pytest.mark.parametrize('name,want', [
    ('a.jpg', 'a.jpg'), ('C:\\scans\\a.jpg', 'a.jpg'), ('../../etc/passwd', 'passwd'),
    ('', 'photograph'), ('..', 'photograph'), (' . ', 'photograph'), ('a\0b\n.jpg', 'ab.jpg'),
    ('\ud800.jpg', '?.jpg'), ('ü'*100+'.tif', 'ü'*73+'.tif'), ('.hidden', 'hidden')])
def test_names(visitors, name, want):
    id = visitors.add_photo(visitors.add(), name)
    assert visitors.photo(id).name==want

@pytest.mark.parametrize('limit', ['clip_seconds', 'megapixels', 'idle'])
@pytest.mark.parametrize('value', [float('inf'), float('nan'), -1])
def test_limits_are_numbers(limit, value):
    with pytest.raises(ValueError, match=f'{limit} must be above 0 and finite, got {value}'):
        Limits(**{limit: value})

def test_folders_are_private_and_their_names_tell_nothing(visitors):
    id = visitors.add_photo(visitors.add(), 'grandpa.jpg')
    path = visitors.photo(id).path
    assert stat.S_IMODE(path.parent.stat().st_mode)==0o700
    assert path.name=='original' and id not in str(path) and 'grandpa' not in str(path)

def test_one_may_not_reach_the_photographs_of_another(visitors):
    anna,bert = visitors.add(),visitors.add()
    id = visitors.add_photo(anna, 'a.jpg')
    visitors.remove(bert)
    assert visitors.photo(id).name=='a.jpg'
    for guess in bert, anna, '', '..', id[:-1]:
        with pytest.raises(Refused):
            visitors.photo(guess)
        visitors.remove_photo(guess)
    assert visitors.photo(id)

def test_a_full_disk(visitors, monkeypatch):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda o: usage(1, 1, 10**8+1999))
    anna = visitors.add()
    visitors.add_photo(anna, 'a.jpg', 999)
    with pytest.raises(Refused, match='no room left on the disk'):
        visitors.add_photo(anna, 'a.jpg', 1000)

def test_the_limits_are_exact(visitors):
    anna,bert = visitors.add(),visitors.add()
    for _ in range(3):
        visitors.add_photo(anna, 'a.jpg', visitors.limits.bytes)
    with pytest.raises(Refused, match='Only 3 photographs can be open'):
        visitors.add_photo(anna, 'a.jpg')
    with pytest.raises(Refused, match='too large'):
        visitors.add_photo(bert, 'a.jpg', visitors.limits.bytes+1)
    visitors.add_photo(bert, 'b.jpg')
    with pytest.raises(Refused, match='Too many people'):
        visitors.add_photo(bert, 'b.jpg')

def test_a_limit_of_one_is_told_in_the_singular(tmp_path):
    visitors = Visitors(tmp_path, Limits(photos=1))
    anna = visitors.add()
    visitors.add_photo(anna, 'a.jpg')
    with pytest.raises(Refused, match='Only 1 photograph can be open at once'):
        visitors.add_photo(anna, 'b.jpg')

def test_a_clip_may_be_larger_than_a_photograph(tmp_path):
    "What comes may be either, and is checked once more when it is opened"
    visitors = Visitors(tmp_path, Limits(megapixels=1, clip_bytes=7_000_000))
    anna = visitors.add()
    async def chunks(n):
        for _ in range(n):
            yield bytes(10**6)
    come = lambda size,n: asyncio.run(visitors.receive_photo(anna, 'a.mkv', size, chunks(n)))
    assert visitors.photo(come(7_000_000, 7)).path.stat().st_size==7_000_000
    for size,n in (7_000_001, 0), (0, 8):
        with pytest.raises(Refused, match='the limit is 7 MB'):
            come(size, n)

def test_an_upload_that_breaks_off_is_deleted(visitors):
    async def chunks():
        yield b'some'
        raise ConnectionError("the browser has gone")
    anna = visitors.add()
    with pytest.raises(ConnectionError):
        asyncio.run(visitors.receive_photo(anna, 'a.jpg', 4, chunks()))
    assert not list(visitors.folder.iterdir())

def test_a_sign_of_life_counts(visitors):
    anna,bert = visitors.add(),visitors.add()
    id = visitors.add_photo(anna, 'a.jpg')
    late = visitors.limits.idle+1
    for name in anna, bert:
        visitors._known[name].seen -= late
    assert visitors.photo(id) # whoever asks for colors is here
    visitors.remove_idle()
    assert visitors.renew(anna) and not visitors.renew(bert)
    visitors._known[anna].seen -= late
    visitors.add() # a new visitor is reason enough to look
    assert not visitors.renew(anna) and not list(visitors.folder.iterdir())

def test_an_upload_that_stops_arriving_holds_no_place(tmp_path):
    visitors = Visitors(tmp_path, Limits(silence=0.05))
    async def chunks():
        yield b'some'
        await asyncio.sleep(30)
    anna = visitors.add()
    with pytest.raises(Refused, match='stopped arriving'):
        asyncio.run(visitors.receive_photo(anna, 'a.jpg', 4, chunks()))
    assert not list(tmp_path.iterdir())

def test_a_disk_that_fills_while_photographs_come(visitors, monkeypatch):
    "Nothing was announced, so there seemed to be room"
    usage,free = namedtuple('usage', 'total used free'),iter([10**9, 10**9, 10**7])
    monkeypatch.setattr(shutil, 'disk_usage', lambda o: usage(1, 1, next(free)))
    async def chunks():
        while True:
            yield bytes(100)
    with pytest.raises(Refused, match='no room left'):
        asyncio.run(visitors.receive_photo(visitors.add(), 'a.jpg', 0, chunks()))
    assert not list(visitors.folder.iterdir())

def test_there_are_not_more_visitors_than_may_be(tmp_path):
    visitors = Visitors(tmp_path, Limits(visitors=2))
    anna,_ = visitors.add(),visitors.add()
    with pytest.raises(Refused, match='Too many people'):
        visitors.add()
    visitors.remove(anna)
    assert visitors.add()
