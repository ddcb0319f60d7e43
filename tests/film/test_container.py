"Films of many kinds are described rightly, or refused in one line that names them"
import av, numpy as np, pytest
from fractions import Fraction
from pathlib import Path
from PIL import Image
from film_files import film_of_aspect, frame, growing_film, luma_planes, picture, write_film
from colorized.film.container import OPEN_OPTIONS, FilmError, open_film
from colorized.film.pixels import FULL, LIMITED
from colorized.film.segments import Segments
from colorized.film.shots import find_shots

def gray(n, size=(64, 48)): return [picture(i, size) for i in range(n)]

def test_a_log_that_somebody_wanted_is_silenced(tmp_path):
    "torchvision 0.21 asks for it: then threads that decode wait for whoever closes them"
    film = open_film(write_film(tmp_path/'a.mkv', gray(2)))
    work = Segments(tmp_path/'work', film, {})
    def segment():
        with av.open(str(film.path)) as c:
            work.write(0, [0, 2], c.decode(video=0), dict)
    for step in lambda: open_film(film.path), segment, lambda: work.reader(0).close():
        av.logging.set_level(av.logging.ERROR)
        step()
        assert av.logging.get_level() is None

def test_tags_are_believed(tmp_path):
    def tags(c, s):
        o = s.codec_context
        o.color_range,o.colorspace,o.color_primaries,o.color_trc = 2,9,9,1
    film = open_film(write_film(tmp_path/'a.mkv', gray(2), setup=tags))
    assert (film.range, film.matrix, film.primaries, film.transfer)==(FULL, 9, 9, 1)
    assert not film.remarks

@pytest.mark.parametrize('size, matrix', [((64, 48), 6), ((1280, 528), 1)])
def test_what_has_no_tag_goes_by_its_size_and_says_so(tmp_path, size, matrix):
    film = open_film(write_film(tmp_path/'a.mkv', [np.full(size[::-1], 99, np.uint8)], size=size))
    assert (film.range, film.matrix)==(LIMITED, matrix)
    assert 'no range tag' in film.remarks[0] and 'no matrix tag' in film.remarks[1]

def test_a_film_without_times_says_so(tmp_path):
    path = write_film(tmp_path/'a.h264', gray(4), codec='libx264')
    assert 'has no times: taken for 25 frames a second' in open_film(path).remarks

def test_avi_with_frames_in_the_order_of_decoding(tmp_path):
    path = write_film(tmp_path/'a.avi', gray(9), codec='libx264', options=dict(bf='2'))
    with pytest.raises(FilmError, match='a.avi: times do not increase .*ffmpeg .*NEW.mkv'):
        find_shots(open_film(path))

def test_a_slow_fade_is_no_frame_over_and_over(tmp_path):
    "Each frame differs from the one before by less than a level, as those of a title do"
    bright = np.random.default_rng(0).integers(16, 236, (48, 64)) # no part of it is of one gray
    fade = [(16+(bright-16)*i/400).round().astype(np.uint8) for i in range(401)]
    path = write_film(tmp_path/'a.mkv', fade, codec='ffv1', rate=50)
    plan = find_shots(open_film(path))
    assert len(plan.shots)==1
    shown,drift = None,0
    for Y,again in zip(fade, plan.repeated):
        shown = shown if again else Y.astype(int)
        drift = max(drift, np.abs(Y-shown).max())
    assert drift<=3 and 0<sum(plan.repeated)<350

def test_gray_pictures(tmp_path):
    film = open_film(write_film(tmp_path/'a.mkv', gray(2), pix_fmt='gray'))
    assert film.format.is_gray and film.range==FULL and film.format.output=='yuv420p'

@pytest.mark.parametrize('degrees, shape', [(90, (64, 48)), (180, (48, 64)), (270, (64, 48))])
def test_rotation(tmp_path, degrees, shape):
    turn = lambda c, s: s.set_display_rotation(degrees)
    film = open_film(write_film(tmp_path/'a.mkv', gray(1), setup=turn))
    assert (film.rotation, film.shape)==(degrees, shape)

@pytest.mark.parametrize('aspect, taken', [
    ('16', True), ('1/16', True), ('64/45', True), ('17', False), ('1/17', False),
    ('40000', False), ('100000000', False)])
def test_pixels_of_no_possible_shape_are_refused(tmp_path, aspect, taken):
    "64×48 of 40000:1 would be 2,560,000×48 as seen"
    path = film_of_aspect(tmp_path/'a.mov', aspect)
    if taken:
        assert open_film(path).aspect==Fraction(aspect)
    else:
        said = aspect.replace('/', ':')+':1'*('/' not in aspect)
        with pytest.raises(FilmError, match=f'a.mov: its pixels are said to be {said}, expected'):
            open_film(path)

def test_mirrored_films_are_refused(tmp_path):
    path = write_film(tmp_path/'a.mp4', [picture(0)], codec='libx264')
    one = bytes([0, 1, 0, 0])
    matrix = one+bytes(12)+one+bytes(12)+bytes([64, 0, 0, 0]) # of the film, then of its track
    head,of_film,body = path.read_bytes().partition(matrix)
    assert open_film(path).rotation==0 and body.count(matrix)==1
    path.write_bytes(head+of_film+body.replace(matrix, bytes([255, 255, 0, 0])+matrix[4:]))
    with pytest.raises(FilmError, match='a.mp4: is shown mirrored'):
        open_film(path)

def test_rotation_turns_as_ffmpeg_does(tmp_path):
    "The picture turned for viewing, against FFmpeg's own filter `transpose`"
    import torch
    from colorized.film.ycbcr import upright
    turn = lambda c, s: s.set_display_rotation(90)
    path = write_film(tmp_path/'a.mkv', gray(1), setup=turn)
    film = open_film(path)
    Y = luma_planes(path)[0][1]
    g = av.filter.Graph()
    f = frame(Y, 'gray', 0)
    f.time_base = Fraction(1, 16)
    src = g.add_buffer(width=64, height=48, format=f.format, time_base=f.time_base)
    # 90 degrees counterclockwise, as av_display_rotation_get means it
    g.link_nodes(src, g.add('transpose', 'cclock'), g.add('buffersink')).configure()
    g.push(f)
    want = g.pull().to_ndarray()
    assert (upright(torch.from_numpy(Y.copy()), film.rotation).numpy()==want).all()

@pytest.mark.parametrize('name, write, said', [
    ('text.mkv', lambda p: p.write_bytes(b'not a film'*100), 'cannot be opened'),
    ('empty.mkv', lambda p: p.write_bytes(b''), 'cannot be opened'),
])
def test_what_is_no_film(tmp_path, name, write, said):
    write(tmp_path/name)
    with pytest.raises(FilmError, match=said) as e:
        open_film(tmp_path/name)
    assert name in str(e.value) and '\n' not in str(e.value)

@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
def test_a_photograph_is_told_from_a_film(tmp_path, suffix):
    path = tmp_path/f'a.{suffix}'
    Image.new('RGB', (64,48), (90,120,60)).save(path)
    with pytest.raises(FilmError, match='is a photograph, not a film: color it without `film`'):
        open_film(path)

def test_a_photograph_that_cannot_be_opened_as_a_film_is_told_from_one():
    "FFmpeg opens small JPEGs, not this one"
    path = Path(__file__).resolve().parents[2]/'nbs/images/campus-1910.jpg'
    with pytest.raises(av.error.FFmpegError):
        av.open(str(path), **OPEN_OPTIONS)
    with pytest.raises(FilmError, match='campus-1910.jpg: is a photograph, not a film'):
        open_film(path)

def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such file'):
        open_film(tmp_path/'a.mkv')
    with pytest.raises(FileNotFoundError, match='folder'):
        open_film(tmp_path)

def test_sound_alone(tmp_path):
    with av.open(str(tmp_path/'a.mkv'), 'w') as c:
        a = c.add_stream('pcm_s16le', rate=8000)
        a.layout = 'mono'
        o = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format='s16', layout='mono')
        o.sample_rate = 8000
        c.mux(a.encode(o))
        c.mux(a.encode(None))
    with pytest.raises(FilmError, match='a.mkv: holds no stream of pictures'):
        open_film(tmp_path/'a.mkv')

def test_no_picture_in_the_stream(tmp_path):
    with pytest.raises(FilmError, match='holds no picture|cannot be opened|no stream'):
        open_film(write_film(tmp_path/'a.mkv', []))

def test_frames_above_a_limit_are_not_decoded(tmp_path):
    path = growing_film(tmp_path/'a.mkv', (64, 48), (640, 480))
    assert {o.width for o in open_film(path).frames()}=={64, 640}
    film = open_film(path, 64*48)
    for start in None, film.start:
        with pytest.raises(FilmError, match='a.mkv: .* or has a frame of more than 3072 pixels'):
            for o in film.frames(start):
                assert o.width==64
    with pytest.raises(FilmError, match='more than 3071 pixels'):
        open_film(path, 64*48-1)

def test_encrypted(tmp_path):
    "Common encryption, as streaming services use it"
    options = dict(encryption_scheme='cenc-aes-ctr', encryption_key='0'*31+'1',
                   encryption_kid='0'*31+'2')
    path = write_film(tmp_path/'a.mp4', gray(8), codec='libx264', container=options)
    with pytest.raises(FilmError, match='a.mp4: .*encrypted'):
        for _ in open_film(path).frames():
            pass

def test_palettes_and_transparent_rgb_are_refused(tmp_path):
    path = tmp_path/'a.mkv'
    write_film(path, gray(1), pix_fmt='bgra')
    with pytest.raises(FilmError, match='a.mkv: pixel format bgra is not taken'):
        open_film(path)

def test_high_dynamic_range_is_refused(tmp_path):
    def tags(c, s):
        s.codec_context.color_trc = 16
    path = write_film(tmp_path/'a.mkv', gray(1), pix_fmt='yuv420p10le', setup=tags)
    with pytest.raises(FilmError, match='PQ'):
        open_film(path)

@pytest.mark.parametrize('codec, suffix', [('ffv1', 'mkv'), ('libx264', 'mp4'), ('mpeg4', 'avi')])
def test_reading_on_from_anywhere_is_reading_from_the_beginning(tmp_path, codec, suffix):
    options = dict(bf='2', g='10') if codec=='libx264' else {}
    path = write_film(tmp_path/f'a.{suffix}', gray(60), codec=codec, options=options)
    film = open_film(path)
    whole = [(f.pts, bytes(f.planes[0])) for f in film.frames()]
    assert len(whole)==60
    for i in (1, 17, 40, 59):
        assert [(f.pts, bytes(f.planes[0])) for f in film.frames(whole[i][0])]==whole[i:]

def test_reading_on_where_pictures_are_refreshed_part_by_part(tmp_path):
    "H.264 without further pictures of their own"
    options = {'bf': '0', 'g': '40', 'x264-params': 'intra-refresh=1:scenecut=0'}
    path = write_film(tmp_path/'a.mkv', gray(115), codec='libx264', rate=25, options=options)
    film = open_film(path)
    whole = [(f.pts, bytes(f.planes[0])) for f in film.frames()]
    assert [(f.pts, bytes(f.planes[0])) for f in film.frames(whole[105][0])]==whole[105:]

def test_reading_on_does_not_read_all(tmp_path, monkeypatch):
    for codec,suffix in ('ffv1', 'mkv'), ('libx264', 'mp4'), ('mpeg4', 'avi'), ('libx265', 'mkv'):
        options = dict(bf='2', g='10') if 'x26' in codec else {}
        path = write_film(tmp_path/f'{codec}.{suffix}', gray(90), codec=codec, options=options)
        film = open_film(path)
        times = [f.pts for f in film.frames()]
        with monkeypatch.context() as m:
            m.setattr('colorized.film.container.Film._stamped', lambda *args: 1/0)
            assert [f.pts for f in film.frames(times[70])]==times[70:]

@pytest.mark.parametrize('name,text', [
    ('a.m3u8', '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfilm.ts\n#EXT-X-ENDLIST\n'),
    ('a.txt', 'ffconcat version 1.0\nfile film.ts\n')])
def test_a_list_of_other_files_is_no_film(tmp_path, name, text):
    "Whoever sends one could learn what else lies on the computer, though FFmpeg would follow it"
    write_film(tmp_path/'film.ts', [picture(i) for i in range(9)], codec='mpeg2video', rate=25)
    (tmp_path/name).write_text(text)
    with av.open(str(tmp_path/name)) as c:
        assert c.streams.video[0].width==64
    with pytest.raises(FilmError, match=f'{name}: cannot be opened .*list of other files'):
        open_film(tmp_path/name)
    assert open_film(tmp_path/'film.ts').width==64
