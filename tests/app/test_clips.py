"Clips of film in the studio: the command's files, limits, strangers' files, and who waits for whom"
import asyncio, json, re, shutil, sys, threading, time
from collections import namedtuple
from pathlib import Path
import numpy as np, pytest, torch

av = pytest.importorskip('av', reason="needs the extra film")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'film'))
from film_files import film_of_aspect, growing_film, luma_planes, picture, write_film
from colorized.app import studio as module
from colorized.app.clips import _clock
from colorized.app.studio import Studio, TooManyWaiting
from colorized.app.visitors import Limits, Refused
from colorized.cli.main import main
from colorized.film.container import open_film
from colorized.inference.colorizer import Colorizer

PHOTO = Path(__file__).resolve().parents[2]/'nbs/images/riverfront-1931.jpg'
STROKE = dict(color='#9c2f2c', radius=0.05, points=[[0.3,0.5],[0.6,0.5]])

@pytest.fixture(scope='module')
def tiny(model):
    torch.set_num_threads(1)
    return Colorizer.from_pretrained(model, 'cpu')

@pytest.fixture(scope='module')
def reel(tmp_path_factory):
    "Two shots, and sound"
    path = tmp_path_factory.mktemp('reel')/'reel.mkv'
    frames = [picture(i) for i in range(3)]+[picture(i, seed=1)//2+100 for i in range(3)]
    return write_film(path, frames, sound=1)

@pytest.fixture
def start(tiny, tmp_path):
    "Studios with limits of a test's own"
    running = []
    def go(**limits):
        folder = tmp_path/f'photos{len(running)}'
        folder.mkdir()
        running.append(Studio(tiny, folder, Limits(**limits)))
        return running[-1]
    yield go
    for o in running:
        o.close()
        o.join()

def bring(studio, file, name=None, visitor=None):
    id = studio.visitors.add_photo(visitor or studio.visitors.add(), name or file.name)
    shutil.copy(file, studio.visitors.photo(id).path)
    return id

def fetch(studio, about):
    return studio.download(*about['url'].split('/')[1:])

def without_seconds(path):
    "A sidecar but for how long it took"
    said = json.loads(path.read_text('utf-8'))
    for o in said['shots']:
        del o['seconds']
    return said

# ---- the files ----
def test_they_are_the_files_of_the_command(start, reel, model, tmp_path, capsys):
    "Byte for byte, with a stroke on a frame, which the command takes as hints"
    studio = start()
    id = bring(studio, reel)
    about = studio.shots(id)
    assert [o['frames'] for o in about['shots']]==[3, 3] and about['n_frames']==6
    answer = studio.film(id, [[1, [STROKE]]])
    hints = studio.visitors.photo(id).clip.hints([[1, [STROKE]]])
    assert len(hints)>3 and {o[0] for o in hints}=={round(4/16, 3)}
    common = ['film', str(reel), '--model', str(model), '--device', 'cpu', '--threads', '1']
    for o in hints:
        common += ['--hint', ','.join(map(str, o))]
    for name,more in ('a.mp4', ['--codec', 'h264']),('b.mkv', []):
        assert main([*common, '--out', str(tmp_path/name), *more])==0
        got = fetch(studio, answer['files'][name!='a.mp4'])
        record = fetch(studio, answer['files'][name!='a.mp4']['record'])
        assert got.read_bytes()==(tmp_path/name).read_bytes()
        assert got.name==f'reel.colorized{got.suffix}' and record.name==f'{got.name}.json'
        assert without_seconds(record)==without_seconds((tmp_path/name).with_suffix('.json'))
    was,now = luma_planes(reel),luma_planes(got)
    assert all((a==b).all() for (_,a),(_,b) in zip(was, now, strict=True))

def test_a_stroke_recolors_its_shot_alone_and_old_files_go(start, reel):
    studio = start()
    id = bring(studio, reel)
    studio.shots(id)
    first,told = studio.film(id, []),[]
    old = fetch(studio, first['files'][1]).read_bytes()
    again = studio.film(id, [[0, [STROKE]]], lambda done, doing: told.append((done, doing)))
    colored = [doing for done,doing in told if doing.startswith('shot')]
    assert colored.count('shot 1 of 2')>3 and colored.count('shot 2 of 2')<=2
    assert fetch(studio, again['files'][1]).read_bytes()!=old
    for o in first['files']:
        with pytest.raises(Refused, match='not here any more'):
            fetch(studio, o)
    home = studio.visitors.photo(id).path.parent
    assert len(list(home.glob('files-*')))==1

class Enough(BaseException):
    "As a visitor's ticket raises when it is abandoned"

def test_what_was_canceled_goes_on_and_gives_the_same_bytes(start, reel):
    studio = start()
    whole,cut = bring(studio, reel),bring(studio, reel)
    for id in whole, cut:
        studio.shots(id)
    want = fetch(studio, studio.film(whole, [])['files'][1]).read_bytes()
    def stop(done, doing):
        if done>=0.6:
            raise Enough
    with pytest.raises(Enough):
        studio.film(cut, [], stop)
    told = []
    answer = studio.film(cut, [], lambda done, doing: told.append(done))
    assert told[:2]==[0, 0.5]
    assert fetch(studio, answer['files'][1]).read_bytes()==want

def test_what_is_there_stays_until_the_next_is_done(start, reel):
    studio = start()
    id = bring(studio, reel)
    studio.shots(id)
    first = studio.film(id, [])
    was = [fetch(studio, o).read_bytes() for o in first['files']]
    def stop(done, doing):
        raise Enough
    with pytest.raises(Enough):
        studio.film(id, [[0, [STROKE]]], stop)
    assert [fetch(studio, o).read_bytes() for o in first['files']]==was
    home = studio.visitors.photo(id).path.parent
    assert len(list(home.glob('files-*')))==1

def test_what_mp4_cannot_hold_costs_the_viewing_copy_alone(start, tmp_path):
    "Subtitles as Matroska has them"
    def setup(c, s): c.add_stream('ass')
    path = write_film(tmp_path/'a.mkv', [picture(i) for i in range(2)], setup=setup)
    studio = start()
    id = bring(studio, path)
    studio.shots(id)
    answer = studio.film(id, [])
    assert [o['name'] for o in answer['files']]==['a.colorized.mkv']
    said = answer['remarks'][-1]
    assert 'no copy for viewing' in said and str(studio.visitors.folder) not in said

# ---- a frame under the brush ----
def test_a_frame_is_painted_on_like_a_photograph(start, reel):
    studio = start()
    id = bring(studio, reel)
    with pytest.raises(Refused, match='not looked through'):
        studio.thumbnail(id, 0)
    studio.shots(id)
    assert studio.thumbnail(id, 1)['image'].startswith('data:image/jpeg;base64,')
    about = studio.frame(id, 0)
    assert (about['width'], about['height'])==(64, 48)
    plain,painted = [studio.paint(id, 0, o) for o in ([], [STROKE])]
    assert plain['image']!=painted['image'] and painted['clipped'] is False
    assert studio.paint(id, 0, [])==plain # what was painted before leaves no trace
    for wrong in -1, 2, True, 1.0, '0', None, [0]:
        for ask in studio.thumbnail, studio.frame:
            with pytest.raises(ValueError, match='number of a shot'):
                ask(id, wrong)
    for wrong in 7, None, {}, [1], [[0]], [[0, [STROKE], 1]], [[9, []]], [[0, 'red']], ['ab']:
        with pytest.raises(ValueError):
            studio.film(id, wrong)
    much = [dict(STROKE, radius=1e-6, points=[[0, i%2] for i in range(100)])]
    with pytest.raises(ValueError, match='too much paint'):
        studio.paint(id, 0, much)

def test_a_frame_that_was_forgotten_is_opened_again(start, reel):
    "Where others were asked for since: what is kept of frames is as large as photographs"
    studio = start(ready=1)
    ids = [bring(studio, reel) for _ in range(2)]
    for o in ids:
        studio.shots(o)
    studio.frame(ids[0], 0)
    first = studio.paint(ids[0], 0, [STROKE])
    studio.frame(ids[1], 0)
    assert [len(studio.visitors.photo(o).clip._frames) for o in ids]==[0, 1]
    assert studio.paint(ids[0], 0, [STROKE])==first

def test_a_shot_in_color_is_left_alone(start, tmp_path):
    chroma = np.full((24, 32), 60),np.full((24, 32), 190)
    chroma[0][:,16:] = 200
    path = write_film(tmp_path/'a.mkv', [picture(i) for i in range(4)], chroma=chroma)
    studio = start()
    id = bring(studio, path)
    assert studio.shots(id)['shots'][0]['in_color']
    studio.thumbnail(id, 0)
    with pytest.raises(Refused, match='in color already'):
        studio.frame(id, 0)

# ---- limits ----
def refused(studio, file, name=None):
    "What a visitor is told: one line, without our paths; nothing stays"
    id = bring(studio, file, name)
    with pytest.raises(Refused) as e:
        studio.shots(id)
    said = str(e.value)
    assert '\n' not in said and str(studio.visitors.folder) not in said, said
    assert not any(o in said for o in ('original', 'Error', '/clip', ' --')), said
    with pytest.raises(Refused, match='not here any more'):
        studio.shots(id)
    assert not list(studio.visitors.folder.iterdir())
    return said

@pytest.mark.parametrize('limits,word', [
    (dict(clip_seconds=0.1), 'too long: 0:01, the limit is 0:00'),
    (dict(clip_frames=5), 'more than 5 frames'),
    (dict(clip_pixels=64*48-1), 'too large. The limit is 0.0 megapixels'),
    (dict(clip_bytes=1000), 'too large')])
def test_limits(start, reel, limits, word):
    assert word in refused(start(**limits), reel)

def test_almost_two_minutes_are_two():
    assert [*map(_clock, (59.4, 59.6, 119.7))]==['0:59', '1:00', '2:00']

def test_an_interlaced_clip_is_told_of_the_command_and_not_of_its_options(start, tmp_path):
    moments = [picture(i) for i in range(40)]
    woven = [np.where(np.arange(48)[:,None]%2, moments[i+1], moments[i]) for i in range(0, 38, 2)]
    path = write_film(tmp_path/'a.mkv', woven, mark='tff')
    said = refused(start(), path)
    assert said.startswith('a.mkv: is interlaced') and said.endswith('the command: colorized film.')

def test_limits_count_what_is_read_and_not_what_a_file_says(start, tmp_path):
    "A raw stream of MPEG says neither how long it is nor how many frames it has"
    path = write_film(tmp_path/'a.ts', [picture(i) for i in range(30)], codec='mpeg2video', rate=25)
    assert open_film(path).n_frames==0
    assert 'more than 20 frames' in refused(start(clip_frames=20), path)

def test_a_frame_that_is_too_large_is_not_decoded(start, tmp_path, monkeypatch):
    "A few kilobytes that would become hundreds of megabytes"
    wide = np.full((2048, 4096), 100, np.uint8)
    path = write_film(tmp_path/'a.mkv', [wide], codec='libx264', size=(4096, 2048))
    assert path.stat().st_size<100_000
    monkeypatch.setattr('colorized.app.clips.open_film', None)
    assert '4096 × 2048. The limit is 2.1 megapixels' in refused(start(), path)

def test_a_frame_that_grows_is_not_decoded(start, tmp_path):
    "At the door it is small"
    path = growing_film(tmp_path/'a.mkv', (64, 48), (4000, 4000))
    studio = start()
    assert 'a frame of more than 2088960 pixels' in refused(studio, path)

@pytest.mark.parametrize('size, word', [((3000, 2), '3000 × 2'), ((2, 4000), '2 × 4000')])
def test_a_frame_that_is_a_line_is_refused(start, tmp_path, size, word):
    "The thumbnail of a line would be a million pixels long"
    path = write_film(tmp_path/'a.mkv', [np.full(size[::-1], 99, np.uint8)]*3, size=size,
                      pix_fmt='gray')
    assert f'too narrow: {word}. One side may be 64 times' in refused(start(), path)

@pytest.mark.parametrize('size, aspect, word', [
    ((64, 48), 40000, 'a.mov: its pixels are said to be 40000:1'),
    ((1280, 720), 16, 'too large: 20480 × 720'), ((640, 48), 8, 'too narrow: 5120 × 48')])
def test_a_frame_counts_as_it_is_seen(start, tmp_path, size, aspect, word):
    assert word in refused(start(), film_of_aspect(tmp_path/'a.mov', aspect, size))

def test_the_thumbnail_of_a_high_frame_is_no_tower(start, tmp_path):
    path = write_film(tmp_path/'a.mkv', [picture(i, (16, 960)) for i in range(2)], size=(16, 960))
    studio = start()
    id = bring(studio, path)
    studio.shots(id)
    assert studio.visitors.photo(id).clip.thumbnail(0).size==(11, 640)

def test_the_limits_are_met_exactly(start, reel):
    studio = start(clip_frames=6, clip_pixels=64*48, clip_bytes=reel.stat().st_size)
    assert studio.shots(bring(studio, reel))['n_frames']==6

def test_a_disk_that_fills_ends_it_in_one_line(start, reel, monkeypatch):
    studio = start()
    id = bring(studio, reel)
    studio.shots(id)
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda o: usage(1, 1, 10**7))
    with pytest.raises(Refused, match='no room left on the disk'):
        studio.film(id, [])

# ---- strangers' files ----
@pytest.mark.parametrize('suffix, codec', [
    ('ts', 'mpeg2video'), ('m2v', 'mpeg2video'), ('vob', 'mpeg2video'), ('mpg', 'mpeg1video'),
    ('3gp', 'libx264'), ('asf', 'mpeg4'), ('mkv', 'ffv1')])
def test_the_page_knows_films_by_their_names(start, tmp_path, suffix, codec):
    page = Path(module.__file__).parent/'page'
    name = re.search(r'FILM_NAME = /(.*)/i', (page/'film.js').read_text('utf-8'))[1]
    assert re.search(name, f'reel.{suffix}', re.I) and not re.search(name, f'{suffix}.jpg', re.I)
    assert f'.{suffix}' in (page/'page.html').read_text('utf-8') or suffix=='mpg' # video/mpeg
    path = write_film(tmp_path/f'reel.{suffix}', [picture(i) for i in range(6)], rate=25,
                      codec=codec)
    studio = start()
    assert studio.shots(bring(studio, path))['n_frames']==6

def test_a_playlist_opens_nothing_else(start, tmp_path):
    "FFmpeg would follow each of these to a film that lies elsewhere on the disk"
    secret = write_film(tmp_path/'secret.ts', [picture(i) for i in range(60)], codec='mpeg2video',
                        rate=25) # shorter ones are not followed
    hls = f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n'
    (tmp_path/'list.m3u8').write_text(hls)
    (tmp_path/'list.ffconcat').write_text('ffconcat version 1.0\nfile secret.ts\n')
    studio = start()
    for name in 'list.m3u8','list.ffconcat':
        with av.open(str(tmp_path/name)) as c:
            assert c.streams.video[0].width==64, 'no attack any more: find another'
        for given in name, 'innocent.mkv', '%03d.ts':
            assert 'could not be opened as a film' in refused(studio, tmp_path/name, given)

def test_what_cannot_be_colored_is_told_without_our_paths(start, tmp_path):
    studio = start()
    assert 'could not be opened' in refused(studio, PHOTO, 'a.mp4')
    path = write_film(tmp_path/'a.mkv', [picture(0)], pix_fmt='bgra')
    said = refused(studio, path, 'My reel.mkv')
    assert said.startswith('My reel.mkv: pixel format bgra is not taken'), said
    def part(w, first): # of a film whose size changes
        frames,times = [picture(i, (w, 48)) for i in range(30)],list(range(first, first+30))
        return write_film(tmp_path/f'{w}.ts', frames, rate=25, codec='mpeg2video', size=(w, 48),
                          times=times).read_bytes()
    (tmp_path/'two.ts').write_bytes(part(64, 0)+part(128, 30))
    assert refused(studio, tmp_path/'two.ts').startswith('two.ts: its size changes')

def test_another_visitor_cannot_reach_it(start, reel):
    studio = start()
    anna,bert = studio.visitors.add(),studio.visitors.add()
    id = bring(studio, reel, visitor=anna)
    other = bring(studio, reel, visitor=bert)
    for o in id, other:
        studio.shots(o)
    about = studio.film(id, [])['files'][1]
    token = about['url'].split('/')[-1]
    for guess in (other, token), (id, token[:-1]), (id, '..'), (id, ''):
        with pytest.raises(Refused):
            studio.download(*guess)
    studio.visitors.remove(bert)
    assert fetch(studio, about).exists()
    studio.visitors.remove(anna)
    assert not list(studio.visitors.folder.iterdir())

# ---- together with others ----
def test_a_photograph_waits_for_one_step_of_a_clip_at_most(start, reel):
    studio = start()
    clip,photo = bring(studio, reel),bring(studio, PHOTO, 'a.jpg')
    studio.shots(clip)
    studio.read(photo)
    network,steps = studio._network.turn,[] # when the clip got its turns
    def noted():
        turn = network()
        if threading.current_thread() is maker:
            turn = Noted(turn, steps)
        return turn
    studio._network.turn = noted
    maker = threading.Thread(target=studio.film, args=(clip, []))
    maker.start()
    waited = []
    while len(steps)<3:
        time.sleep(0.001)
    for seed in range(4):
        before = len(steps)
        with network():
            waited.append(len(steps)-before)
        studio.color(photo, seed, [], 1)
    maker.join()
    assert max(waited)<=1 and len(steps)>9, (waited, len(steps))

class Noted:
    def __init__(self, turn, steps): self.turn,self.steps = turn,steps
    def __enter__(self):
        self.turn.__enter__()
        self.steps.append(time.monotonic())
    def __exit__(self, *e): return self.turn.__exit__(*e)

def test_whose_clip_is_colored_is_not_idle(start, reel):
    "However long it takes, and though his browser gives no other sign of life"
    studio = start()
    visitor = studio.visitors.add()
    id = bring(studio, reel, visitor=visitor)
    studio.shots(id)
    def half(done, doing):
        studio.visitors._known[visitor].seen -= 0.6*studio.visitors.limits.idle
        studio.visitors.remove_idle()
    answer = studio.film(id, [], half)
    assert fetch(studio, answer['files'][0]).exists()

def test_who_leaves_while_it_is_colored_leaves_nothing(start, reel):
    studio = start()
    visitor = studio.visitors.add()
    id = bring(studio, reel, visitor=visitor)
    studio.shots(id)
    def leave(done, doing):
        if done>0.3:
            studio.visitors.remove(visitor)
    with pytest.raises((OSError, ValueError)):
        studio.film(id, [], leave)
    studio.visitors.remove_idle() # as each half minute
    assert not list(studio.visitors.folder.iterdir())

@pytest.mark.parametrize('late', [False, True])
def test_who_leaves_while_it_is_looked_through_leaves_nothing(start, reel, monkeypatch, late):
    "Late: when all was read, before the plan is written"
    studio = start()
    id = bring(studio, reel)
    home = studio.visitors.photo(id).path.parent
    if late:
        from colorized.film import film
        save = film.save_plan
        def left(*args):
            studio.visitors.remove_photo(id)
            save(*args)
        monkeypatch.setattr(film, 'save_plan', left)
    with pytest.raises(Refused, match='reel.mkv. is not here any more'):
        studio.shots(id, lambda done: late or studio.visitors.remove_photo(id))
    assert not home.exists()

def test_two_questions_about_a_clip_do_not_read_at_once(start, reel):
    "A thumbnail and a frame for the brush, from two queues"
    studio = start()
    id = bring(studio, reel)
    studio.shots(id)
    run = studio.visitors.photo(id).clip.run
    read,reading,at_once = run.read,threading.Lock(),[]
    def watched(i):
        at_once.append(not reading.acquire(blocking=False))
        time.sleep(0.1)
        frame = read(i)
        if not at_once[-1]:
            reading.release()
        return frame
    run.read = watched
    threads = [threading.Thread(target=o, args=(id, k)) for k in (0, 1)
               for o in (studio.thumbnail, studio.frame)]
    for o in threads:
        o.start()
    for o in threads:
        o.join()
    assert at_once==[False]*4

def test_one_clip_after_the_other_and_each_knows_its_place(start, reel):
    studio = start()
    ids = [bring(studio, reel) for _ in range(2)]
    for o in ids:
        studio.shots(o)
    async def hear(id):
        arguments = dict(photo=id, strokes=[])
        studio.check_question('film', arguments)
        return [o async for o in studio.ask('film', arguments) if o]
    async def both(): return await asyncio.gather(*map(hear, ids))
    first,second = asyncio.run(both())
    assert first[0]==dict(place=0) and second[:2]==[dict(place=1), dict(place=0)]
    doing = list(dict.fromkeys(o['doing'] for o in first if 'doing' in o))
    assert [o for o in doing if 'shot' in o]==['shot 1 of 2', 'shot 2 of 2']
    assert 'viewing' in doing[-1]
    assert len(first[-1]['answer']['files'])==2
    studio.queues['film'].max_waiting = 0
    with pytest.raises(TooManyWaiting):
        studio.check_question('film', dict(photo=ids[0], strokes=[]))

def test_without_the_extra_it_says_how_to_get_it(start, reel, monkeypatch):
    with monkeypatch.context() as m:
        m.setattr(module, 'find_spec', lambda name: None)
        assert "pip install 'colorized[film]'" in refused(start(), reel)
    assert 'takes no clips' in refused(start(clip_seconds=0), reel)
