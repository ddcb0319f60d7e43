"From file to file: times, sound, luma; interruptions; what is refused"
import hashlib, json, os, re, signal, socket, subprocess, sys, time
from array import array
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
import av, numpy as np, pytest
from PIL import Image
from film_files import luma_planes, packets, picture, write_film
from colorized.film.container import FilmError, open_film
from colorized.film.film import preview_film
from colorized.film.interlacing import FrameFilter
from colorized.film.record import contact_sheet, is_sheet, read_tags, times_of, write_sheet
from colorized.film.streams import encoded
from colorized.photo.provenance import Provenance, read_provenance

def two_shots(n=10): # the luma of a film with a cut
    return [picture(i) for i in range(n)]+[picture(i, seed=1)//2+100 for i in range(n)]

def sha(path): return hashlib.sha256(Path(path).read_bytes()).hexdigest()

def chroma_of(path):
    "(n,2,h,w) of all frames, less the neutral one"
    with av.open(str(path)) as c:
        out = []
        for f in c.decode(video=0):
            rows = [np.frombuffer(o, np.uint8).reshape(o.height, -1)[:,:o.width].astype(int)
                    for o in f.planes[1:3]]
            out.append(np.stack(rows)-128)
        return np.stack(out)

def test_a_title_in_an_old_encoding_stays_as_it_is(tmp_path, color):
    "Bytes that are no UTF-8, as old programs wrote them"
    path = write_film(tmp_path/'reel.mkv', two_shots(),
                      setup=lambda c, s: c.metadata.update(title='Cin?ma'))
    raw = path.read_bytes()
    assert raw.count(b'Cin?ma')==1
    path.write_bytes(raw.replace(b'Cin?ma', b'Cin\xe9ma'))
    report = color(path)
    assert report.output.read_bytes().count(b'Cin\xe9ma')==1
    assert read_tags(report.output)['COLORIZED_SEED']=='0'

@pytest.mark.skipif(sys.platform!='linux', reason='other systems have no such names')
def test_a_name_in_an_old_encoding(tmp_path, color):
    path = write_film(tmp_path/os.fsdecode(b'cin\xe9ma.mkv'), two_shots(2))
    report = color(path)
    assert os.fsencode(report.output.name)==b'cin\xe9ma.colorized.mkv'
    said = json.loads(report.output.with_suffix('.json').read_text('utf-8'))
    assert said['source']['name']==r'cin\xe9ma.mkv'

LONG = '活'*80 # 240 bytes in UTF-8, as most disks count; 255 are the most

@pytest.mark.skipif(sys.platform!='linux', reason='other systems count otherwise')
def test_a_film_with_a_long_name(tmp_path, color):
    "80 letters of Japanese: with `.colorized.json` there are 255 bytes"
    path = write_film(tmp_path/f'{LONG}.mkv', two_shots(2))
    report = color(path, keep=True)
    assert report.output.name==f'{LONG}.colorized.mkv' and report.frames==4
    folder, = tmp_path.glob('.*')
    assert folder.name.endswith('.segments') and color(path).skipped
    assert not list(tmp_path.glob('.*')) and len(list(tmp_path.iterdir()))==4

@pytest.mark.skipif(sys.platform!='linux', reason='other systems count otherwise')
def test_a_name_that_is_too_long_is_refused_before_the_film_is_read(tmp_path, color, monkeypatch):
    path = write_film(tmp_path/f'{LONG}1.mkv', two_shots(2))
    with monkeypatch.context() as m, pytest.raises(FilmError, match='.json: .*256 bytes.*--out'):
        m.setattr('colorized.film.film.sha256_of', None)
        color(path)
    path = path.rename(tmp_path/f'{LONG}12345678901.mkv')
    with pytest.raises(FilmError, match='shots.jpg: is too long .*--out'):
        preview_film(path, None, color.colorizer, False)
    assert [*tmp_path.iterdir()]==[path]
    assert color(path, tmp_path/'b.mkv').frames==4

@pytest.mark.skipif(sys.platform=='win32', reason='no such names there')
def test_a_colon_does_not_make_a_name_an_address(tmp_path, color, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_film(tmp_path/'Reel: 1.mkv', two_shots(2))
    assert color('Reel: 1.mkv').frames==4 and color('Reel: 1.mkv').skipped

def test_the_title_of_a_track_in_an_old_encoding(tmp_path, color):
    "Of pixels that are not square"
    def setup(c, s):
        s.codec_context.sample_aspect_ratio,s.metadata['title'] = Fraction(16, 15),'Bild?'
    path = write_film(tmp_path/'reel.mkv', two_shots(2), codec='libx264', setup=setup)
    assert open_film(path).aspect==Fraction(16, 15)
    raw = path.read_bytes()
    assert raw.count(b'Bild?')==1
    path.write_bytes(raw.replace(b'Bild?', b'Bild\xe9'))
    raw = color(path).output.read_bytes()
    assert raw.count(b'Bild\xe9')==1 and b'[[' not in raw[:2000]

def test_times_luma_sound_and_everything_else_stay(tmp_path, color):
    "Ten sound tracks, chapters, subtitles, an attachment; variable times"
    times = np.cumsum([0]+[62, 63, 40, 70]*5)[:20].tolist()
    def setup(c, s):
        c.metadata['title'] = 'A reel'
        s.metadata['timecode'] = '01:00:00:00'
        c.set_chapters([dict(id=1, start=0, end=600, time_base=Fraction(1, 1000),
                             metadata={'title': 'One'})])
        c.add_attachment('leader.txt', 'text/plain', b'reel 1 of 2')
    path = write_film(tmp_path/'reel.mkv', two_shots(), times=times, time_base='1/1000', sound=10,
                      setup=setup)
    report = color(path)
    assert report.output==tmp_path/'reel.colorized.mkv' and report.frames==20
    was,now = luma_planes(path),luma_planes(report.output)
    assert [t for t,_ in now]==[Fraction(o, 1000) for o in times]==[t for t,_ in was]
    assert all((a==b).all() for (_,a),(_,b) in zip(was, now))
    assert packets(path)==packets(report.output) and len(packets(path))==10
    with av.open(str(path)) as a, av.open(str(report.output)) as b:
        assert b.metadata['title']=='A reel'
        assert b.streams.video[0].metadata['TIMECODE']=='01:00:00:00'
        assert [o['metadata'] for o in b.chapters()]==[o['metadata'] for o in a.chapters()]
        kept = [[o.data for o in c.streams if o.type=='attachment'] for c in (a, b)]
        assert kept[0]==kept[1]==[b'reel 1 of 2']
    assert abs(chroma_of(report.output)).max()>5

def test_pixels_that_are_not_square(tmp_path, color):
    "From MP4, which has their shape exactly, to Matroska, which has it in whole pixels"
    def setup(c, s):
        s.codec_context.sample_aspect_ratio = Fraction(5, 4)
    path = write_film(tmp_path/'a.mp4', [picture(i) for i in range(4)], codec='libx264',
                      setup=setup)
    assert open_film(path).shape==(48, 80)
    report = color(path)
    with av.open(str(report.output)) as c:
        s = c.streams.video[0]
        assert s.sample_aspect_ratio==Fraction(5, 4)
        assert 'title' not in {k.lower() for k in s.metadata}
    assert open_film(color(path, tmp_path/'b.mp4').output).aspect==Fraction(5, 4)

def test_it_says_how_it_came_about(tmp_path, color):
    path = write_film(tmp_path/'reel.mkv', two_shots())
    report = color(path, seed=3)
    tags = read_tags(report.output)
    assert tags['COLORIZED_SEED']=='3' and sha(path) in tags['COLORIZED_SETTINGS']
    assert tags['DIGITAL_SOURCE_TYPE'].endswith('compositeWithTrainedAlgorithmicMedia')
    said = json.loads((tmp_path/'reel.colorized.json').read_text('utf-8'))
    assert said['output_sha256']==sha(report.output)
    assert len(times_of(said['source']['times']))==20
    assert [(o['first'], o['last']) for o in said['shots']]==[(0, 9), (10, 19)]
    lines = (tmp_path/'reel.colorized.csv').read_text('utf-8-sig').splitlines()
    assert len(lines)==3 and lines[0].startswith('shot,first,last')
    assert sorted(o.name for o in tmp_path.iterdir())==[
        'reel.colorized.csv', 'reel.colorized.json', 'reel.colorized.mkv', 'reel.mkv']

def test_ffprobe_agrees(tmp_path, color):
    "FFmpeg's own program, where there is one"
    import shutil
    if not shutil.which('ffprobe'):
        pytest.skip('needs ffprobe')
    path = write_film(tmp_path/'reel.mkv', two_shots(), sound=2)
    report = color(path)
    def hashes(p, streams):
        out = subprocess.run(['ffmpeg', '-v', 'error', '-i', p, *streams, '-c', 'copy', '-f',
                              'streamhash', '-'], capture_output=True, text=True, check=True)
        return out.stdout
    def pts(p):
        out = subprocess.run(['ffprobe', '-v', 'error', '-select_streams', 'v', '-show_entries',
            'frame=pts_time', '-of', 'csv=p=0', p], capture_output=True, text=True, check=True)
        return out.stdout.split()
    assert hashes(path, ['-map', '0:a'])==hashes(report.output, ['-map', '0:a'])
    assert pts(path)==pts(report.output)

@pytest.mark.parametrize('out', ['b.mov', 'b.mp4'])
def test_exact_times_in_another_container(tmp_path, color, out):
    times = [1001*i+(7 if i>4 else 0) for i in range(12)]
    path = write_film(tmp_path/'a.mov', [picture(i) for i in range(12)], codec='libx264',
        rate=Fraction(30000, 1001), times=times, time_base='1/30000',
        options=dict(qp='0', bf='2'))
    report = color(path, tmp_path/out)
    was,now = luma_planes(path),luma_planes(report.output)
    assert [t for t,_ in was]==[t for t,_ in now]==[Fraction(o, 30000) for o in times]
    assert all((a==b).all() for (_,a),(_,b) in zip(was, now))
    assert read_tags(report.output)['COLORIZED_SEED']=='0'

def test_matroska_rounds_to_milliseconds_and_says_so(tmp_path, color):
    path = write_film(tmp_path/'a.mov', [picture(i) for i in range(12)], codec='libx264',
        rate=Fraction(30000, 1001), times=[1001*i for i in range(12)], time_base='1/30000')
    report = color(path)
    gaps = [abs(a-b) for (a,_),(b,_) in zip(luma_planes(path), luma_planes(report.output))]
    assert 0<max(gaps)<=Fraction(1, 2000)
    assert any('whole milliseconds' in o for o in report.remarks)
    said = json.loads((tmp_path/'a.colorized.json').read_text('utf-8'))
    assert times_of(said['source']['times'])==[1001*i for i in range(12)]
    with av.open(str(report.output)) as c:
        assert c.streams.video[0].average_rate==Fraction(30000, 1001)

@pytest.mark.parametrize('codec', ['h264', 'av1'])
def test_viewing_copies(tmp_path, color, codec):
    path = write_film(tmp_path/'a.mkv', [picture(i, (128, 96)) for i in range(12)], size=(128, 96))
    report = color(path, tmp_path/'b.mp4', codec=codec)
    was,now = luma_planes(path),luma_planes(report.output)
    assert len(now)==12
    assert [float(t) for t,_ in now]==pytest.approx([float(t) for t,_ in was], abs=1e-3)
    error = np.mean([abs(a.astype(int)-b).mean() for (_,a),(_,b) in zip(was, now)])
    assert error<12

def real_time_threads():
    "Those of this process that go before all others"
    found = []
    for o in map(int, os.listdir('/proc/self/task')):
        with suppress(ProcessLookupError): # it has just ended
            if os.sched_getscheduler(o)!=os.SCHED_OTHER: found.append(o)
    return found

@pytest.mark.skipif(sys.platform!='linux' or os.geteuid()!=0, reason="SVT-AV1 does it to root")
def test_av1_does_not_take_the_machine(tmp_path, color):
    "SVT-AV1 makes threads of root real-time ones, that of the caller as well"
    with av.open(str(tmp_path/'c.mkv'), 'w') as c:
        stream = c.add_stream('libsvtav1', rate=16)
        stream.width,stream.height,stream.pix_fmt = 128,96,'yuv420p'
        encoded(stream, av.VideoFrame(128, 96, 'yuv420p'))
        assert not real_time_threads() # while its own are there
        encoded(stream, None)
    frames = [picture(i, (128, 96)) for i in range(3)]
    color(write_film(tmp_path/'a.mkv', frames, size=(128, 96)), tmp_path/'b.mp4', codec='av1')
    assert not real_time_threads()

@pytest.mark.parametrize('n', [1, 2])
def test_a_film_of_few_frames(tmp_path, color, n):
    path = write_film(tmp_path/'a.mkv', [picture(i) for i in range(n)])
    assert color(path).frames==n
    assert len(luma_planes(tmp_path/'a.colorized.mkv'))==n

def test_odd_sizes_ten_bits_and_rotation(tmp_path, color):
    turn = lambda c, s: s.set_display_rotation(90)
    frames = [picture(i, (71, 53), top=1000) for i in range(6)]
    path = write_film(tmp_path/'a.mkv', frames, size=(71, 53), pix_fmt='yuv420p10le', setup=turn)
    report = color(path)
    film = open_film(report.output)
    assert (film.rotation, film.format.bits, film.width)==(90, 10, 71)
    assert all((a==b).all() for (_,a),b in zip(luma_planes(report.output), frames))

def test_same_film_same_bytes(tmp_path, color):
    path = write_film(tmp_path/'a.mkv', two_shots(), sound=1)
    one,two = color(path),color(path, tmp_path/'again.mkv')
    assert sha(one.output)==sha(two.output)
    assert sha(color(path, tmp_path/'other.mkv', seed=1).output)!=sha(one.output)

def test_repeated_frames_are_colored_once(tmp_path, color):
    frames = [picture(i//2) for i in range(16)]
    report = color(write_film(tmp_path/'a.mkv', frames))
    assert report.rows[0]['repeated']==8
    c = chroma_of(report.output)
    assert (c[0::2]==c[1::2]).all()

def test_a_long_still_is_cut_into_stretches(tmp_path, color, monkeypatch):
    "It stands for 200 frames behind 10 that move: where it is cut its color does not jump"
    monkeypatch.setattr('colorized.film.stretches.stretches.__defaults__', (30,))
    frames = [picture(min(i, 10)) for i in range(210)]
    report = color(write_film(tmp_path/'a.mkv', frames), gap=12, temperature=1.)
    said = json.loads((tmp_path/'a.colorized.json').read_text())
    assert len(said['shots'][0]['segments'])==4 and report.rows[0]['repeated']==199
    assert all((a==b).all() for (_,a),b in zip(luma_planes(report.output), frames))
    steps = abs(np.diff(chroma_of(report.output), axis=0)).max((1, 2, 3))
    assert steps[10:].max()<=10 and (steps[54:]==0).all() # 46 at once without the last frames' turn

BANDS = (np.repeat(np.uint8([90, 180]), 12)[:,None],)*2 # Chroma of a film in color

def test_a_shot_in_color_is_left_alone(tmp_path, color):
    "The first of two; then the same film, recolored because that is asked for"
    path = write_film(tmp_path/'a.mkv', two_shots(8), chroma=BANDS, colored=range(8))
    report = color(path)
    assert [o['what'] for o in report.rows]==['left alone', 'colored']
    assert (chroma_of(report.output)[:8]==chroma_of(path)[:8]).all()
    assert '1 in color already and left alone' in str(report)
    again = color(path, tmp_path/'b.mkv', recolor=True)
    assert again.rows[0]['what']=='colored'
    assert (chroma_of(again.output)!=chroma_of(path)).any()

def test_a_film_in_color_is_refused(tmp_path, color):
    "An output would say that its colors were generated"
    path = write_film(tmp_path/'a.mkv', two_shots(4), chroma=BANDS)
    with pytest.raises(FilmError, match='a.mkv: is in color already'):
        preview_film(path, None, color.colorizer, False, working_size=64, steps=2)
    with pytest.raises(FilmError, match='a.mkv: is in color already: --recolor colors it'):
        color(path)
    assert [*tmp_path.iterdir()]==[path]
    assert color(path, recolor=True, keep=True).rows[0]['what']=='colored'
    before = sorted(tmp_path.rglob('*'))
    (tmp_path/'a.colorized.mkv').unlink()
    with pytest.raises(FilmError, match='in color already'): # what was recolored stays
        color(path)
    assert sorted([*tmp_path.rglob('*'), tmp_path/'a.colorized.mkv'])==before

def test_hints_on_a_shot_in_color_are_told_of(tmp_path, color):
    path = write_film(tmp_path/'a.mkv', two_shots(4), chroma=BANDS, colored=range(4, 8))
    report = color(path, hints=[(0.3, 3, 3, 'red')])
    assert [o['hints'] for o in report.rows]==[0, 0]
    said = [o for o in report.remarks if o.startswith('shot 2 is in color already: its hints')]
    assert len(said)==1 and '--recolor' in said[0]
    report = color(path, hints=[(0.3, 3, 3, 'red')], recolor=True, overwrite=True)
    assert [o['hints'] for o in report.rows]==[0, 1]
    assert not [o for o in report.remarks if 'hints' in o]

def woven(n=12):
    "Frames of two moments, half a frame apart"
    out = []
    for i in range(n):
        Y = picture(4*i).copy()
        Y[1::2] = picture(4*i+2)[1::2]
        out.append(Y)
    return out

def test_interlaced_films_are_refused_and_deinterlaced_if_asked(tmp_path, color):
    path = write_film(tmp_path/'a.mkv', woven())
    with pytest.raises(FilmError, match='a.mkv: is interlaced .*deinterlace'):
        color(path)
    assert not (tmp_path/'a.colorized.mkv').exists()
    report = color(path, fields='deinterlace')
    was,now = luma_planes(path),luma_planes(report.output)
    assert [t for t,_ in was]==[t for t,_ in now]
    assert any((a!=b).any() for (_,a),(_,b) in zip(was, now))
    assert color(path, tmp_path/'b.mkv', fields='ignore').frames==12

def marks(path):
    "FFmpeg's number of the order of fields, and what each picture says: top, bottom, progressive"
    def is_kind(f, kind):
        o = FrameFilter('select', f'eq(interlace_type,{kind})')
        return [*o(f), *o(None)]
    with av.open(str(path)) as c:
        order = c.streams.video[0].codec_context.field_order
        kinds = 'TOPFIRST','BOTTOMFIRST','PROGRESSIVE'
        said = [k[0] for f in c.decode(video=0) for k in kinds if is_kind(f, k)]
        return order,''.join(said)

@pytest.mark.parametrize('order', [(2, 'tff', 'T'), (3, 'bff', 'B')])
@pytest.mark.parametrize('name, source, codec, pix_fmt', [
    ('a.mkv', 'ffv1', 'ffv1', 'yuv420p'), ('a.mkv', 'ffv1', 'ffv1', 'yuv422p10le'),
    ('a.avi', 'ffv1', 'ffv1', 'gray'),
    ('a.mkv', 'ffv1', 'lossless', 'yuv420p'), ('a.mov', 'libx264', 'h264', 'yuv420p')])
def test_colored_as_it_is_an_interlaced_film_stays_one(tmp_path, color, order, name, source, codec,
                                                       pix_fmt):
    number,mark,kind = order
    path = write_film(tmp_path/name, woven(), codec=source, pix_fmt=pix_fmt, mark=mark)
    assert marks(path) in ((number, 12*kind), (0, 12*kind)) # AVI has no place for it
    dst = tmp_path/f"b{'.mov' if source=='libx264' else '.mkv'}"
    report = color(path, dst, fields='ignore', codec=codec)
    assert marks(dst)==(number, 12*kind) and not [o for o in report.remarks if 'interlaced' in o]
    with av.open(str(dst)) as c:
        s = c.streams.video[0]
        assert (s.colorspace, s.color_range)==(open_film(path).matrix, open_film(path).range)
    if codec!='h264':
        assert all((a==b).all() for (_,a),(_,b) in zip(luma_planes(path), luma_planes(dst)))
    progressive = color(path, dst, fields='deinterlace', codec=codec, overwrite=True).output
    assert marks(progressive)[0] in (0, 1) and marks(progressive)[1]==12*'P'

@pytest.mark.parametrize('codec, size', [('av1', (128, 96)), ('lossless', (64, 46))])
def test_what_cannot_be_marked_as_interlaced_is_told(tmp_path, color, codec, size):
    frames = [np.resize(o, size[::-1]) for o in woven(4)]
    path = write_film(tmp_path/'a.mkv', frames, size=size, mark='tff')
    said = color(path, tmp_path/'b.mp4', fields='ignore', codec=codec).remarks
    assert [o for o in said if o.startswith(f'is interlaced, which its copy in {codec} does not')]

@pytest.mark.parametrize('pix_fmt', ['gray10le', 'yuva444p12le'])
def test_what_cannot_be_deinterlaced_is_told(tmp_path, color, pix_fmt):
    path = write_film(tmp_path/'a.mkv', two_shots(2), pix_fmt=pix_fmt)
    with pytest.raises(FilmError, match=f'a.mkv: cannot be deinterlaced in this format .{pix_fmt}'):
        color(path, fields='deinterlace')
    assert color(path, fields='ignore').frames==4

def test_a_broken_packet_ends_in_one_line_and_what_was_done_stays(tmp_path, color):
    path = write_film(tmp_path/'a.mkv', [picture(i, (256, 192)) for i in range(20)],
                      size=(256, 192))
    whole = color(path, tmp_path/'whole.mkv')
    data = bytearray(path.read_bytes())
    middle = len(data)*3//4
    data[middle:middle+2000] = bytes(2000)
    (tmp_path/'bad.mkv').write_bytes(data)
    try:
        report = color(tmp_path/'bad.mkv')
    except FilmError as e:
        assert 'bad.mkv' in str(e) and '\n' not in str(e)
    else: # the decoder mended it
        assert any('damaged' in o or 'cut short' in o for o in report.remarks) \
            or report.frames<whole.frames

@pytest.mark.parametrize('options, n', [
    (dict(level='3', slices='4'), 3), (dict(level='3', slicecrc='0'), 0), (dict(level='1'), 0),
    (dict(level='4', strict='experimental'), 3)])
def test_pictures_whose_checksum_is_wrong_are_told_of(tmp_path, color, options, n):
    "FFV1 is mended by its decoder without a word"
    path = write_film(tmp_path/'a.mkv', two_shots(), options=options)
    def said(name): # damage may look like combs
        return [o for o in color(path, tmp_path/name, fields='ignore').remarks if 'mended' in o]
    assert not said('whole.mkv')
    raw = bytearray(path.read_bytes())
    with av.open(str(path)) as c:
        pictures = [bytes(o) for o in c.demux(video=0) if o.size]
    for o in pictures[4],pictures[9],pictures[15]:
        raw[raw.index(o)+len(o)//3] ^= 0x55
    path.write_bytes(raw)
    assert said('b.mkv')==[f'{n} damaged frames were mended by the decoder']*(n>0)

def test_a_truncated_film(tmp_path, color):
    path = write_film(tmp_path/'a.mp4', [picture(i, (256, 192)) for i in range(40)],
        size=(256, 192), codec='libx264', options=dict(g='10'))
    (tmp_path/'b.mp4').write_bytes(path.read_bytes()[:-2000]) # the index is at the end
    with pytest.raises(FilmError, match='b.mp4: cannot be opened'):
        color(tmp_path/'b.mp4')

def test_what_is_there_of_a_truncated_film(tmp_path, color):
    "Matroska can be read as far as it goes: that is colored, and said"
    path = write_film(tmp_path/'a.mkv', [picture(i, (256, 192)) for i in range(64)],
                      size=(256, 192))
    data = path.read_bytes()
    (tmp_path/'b.mkv').write_bytes(data[:len(data)//2])
    report = color(tmp_path/'b.mkv')
    assert 20<report.frames<45 and any('cut short' in o for o in report.remarks)
    was = luma_planes(path)[:report.frames-1] # the last one may be half a picture
    assert all((a==b).all() for (_,a),(_,b) in zip(was, luma_planes(report.output)))

def test_a_hole_between_pictures_is_told_and_what_an_edit_list_hides_is_none(tmp_path, color):
    path = write_film(tmp_path/'a.mp4', [picture(i) for i in range(32)], codec='libx264',
        options=dict(g='4', bf='0'))
    def remuxed(name, later):
        with av.open(str(path)) as i, av.open(str(tmp_path/name), 'w') as o:
            s = o.add_stream_from_template(i.streams.video[0])
            for n,p in enumerate(i.demux(video=0)):
                if p.dts is None or (ticks := later(n)) is None: continue
                shift = round(ticks/p.time_base)
                p.pts,p.dts,p.stream = p.pts+shift,p.dts+shift,s
                o.mux(p)
        return [o for o in color(tmp_path/name).remarks if 'pictures' in o]
    assert not remuxed('whole.ts', lambda n: 0)
    said, = remuxed('hole.ts', lambda n: None if 8<=n<16 else 0)
    assert 'has no pictures from' in said and said.endswith('is it damaged?')
    a,b = re.search(r'from ([\d.]+) to ([\d.]+) s', said).groups()
    assert float(b)-float(a)==pytest.approx(0.5, abs=0.02)
    assert not remuxed('edited.mp4', lambda n: Fraction(-1, 2))
    assert color(tmp_path/'edited.mp4', tmp_path/'b.mkv').frames<32

def test_originals_and_other_files_are_never_replaced(tmp_path, color):
    path = write_film(tmp_path/'a.mkv', two_shots(4))
    before = sha(path)
    with pytest.raises(FileExistsError, match='never replaced'):
        color(path, path, overwrite=True)
    other = write_film(tmp_path/'b.mkv', two_shots(4))
    with pytest.raises(FileExistsError, match='not made by this program'):
        color(path, other, overwrite=True)
    first = color(path)
    with pytest.raises(FileExistsError, match='--overwrite'):
        color(path, seed=1)
    assert color(path).skipped
    assert not color(path, seed=1, overwrite=True).skipped
    assert sha(path)==before and first.output.exists()

@pytest.mark.parametrize('suffix', ['csv', 'json'])
def test_a_table_or_sidecar_of_others_is_not_replaced(tmp_path, color, suffix):
    path,notes = write_film(tmp_path/'a.mkv', two_shots(4)),tmp_path/f'out.{suffix}'
    notes.write_text('{"shots": "my notes on them"}')
    with pytest.raises(FileExistsError, match=f'out.{suffix} exists.*not made by.*another --out'):
        color(path, tmp_path/'out.mkv', overwrite=True)
    assert notes.read_text()=='{"shots": "my notes on them"}' and len([*tmp_path.iterdir()])==2

def test_a_sidecar_stays_that_of_its_film(tmp_path, color):
    path = write_film(tmp_path/'a.mkv', two_shots(4))
    other = color(path, tmp_path/'out.mp4')
    with pytest.raises(FileExistsError, match='belongs to out.mp4: give another --out'):
        color(path, tmp_path/'out.mkv')
    other.output.unlink()
    assert color(path, tmp_path/'out.mkv').frames==8 # a leftover of ours goes
    assert color(path, tmp_path/'out.mkv', seed=1, overwrite=True).frames==8

def test_a_link_to_a_file_that_is_gone_is_not_replaced(tmp_path, color):
    path,dst = write_film(tmp_path/'a.mkv', two_shots(2)),tmp_path/'b.mkv'
    try:
        dst.symlink_to('gone.mkv')
    except OSError:
        pytest.skip('no links here')
    with pytest.raises(FileExistsError, match='b.mkv exists already'):
        color(path, dst)
    assert dst.is_symlink()

@pytest.mark.parametrize('size', [(64, 2), (2, 2)])
def test_films_of_few_rows(tmp_path, color, size):
    w,h = size
    path = write_film(tmp_path/'a.mkv', [o[:h,:w] for o in two_shots(2)], size=size)
    assert color(path).frames==4

@pytest.mark.parametrize('point, said', [
    ((64, 3, 'red'), 'lies outside'), ((3, 48, 'red'), 'lies outside'), ((3, 3, 'rad'), 'color'),
    ((3, 3, 'red', float('nan')), 'radius'), ((3, 3, 'red', -1), 'radius')])
def test_a_hint_that_is_none_is_refused_before_the_film_is_read(tmp_path, color, point, said):
    path = write_film(tmp_path/'a.mkv', two_shots(2))
    with pytest.raises(ValueError, match=f'hint.*{said}'):
        color(path, hints=[(0.2, *point)])
    assert [*tmp_path.iterdir()]==[path]

def test_a_source_type_that_denies_the_color_is_refused(tmp_path, color):
    path = write_film(tmp_path/'a.mkv', two_shots(2))
    with pytest.raises(ValueError, match='source_type .*compositeSynthetic'):
        color(path, source_type='digitalCapture')
    assert [*tmp_path.iterdir()]==[path]

def test_a_hint_recolors_its_shot_and_no_other(tmp_path, color):
    path = write_film(tmp_path/'a.mkv', two_shots())
    plain = color(path, keep=True)
    folder = tmp_path/'.a.colorized.mkv.segments'
    first = (folder/'000000.mkv').stat().st_mtime_ns
    c0 = chroma_of(plain.output)
    color(path, keep=True, overwrite=True, hints=[(0.7, 32, 24, 'red')])
    c1 = chroma_of(plain.output)
    assert (c0[:10]==c1[:10]).all() and (folder/'000000.mkv').stat().st_mtime_ns==first
    redder = (c1[10:,1]-c0[10:,1]).mean((1, 2)) # of each frame, before and after the hint
    assert redder.min()>1.5 and np.ptp(redder)<0.3
    with pytest.raises(ValueError, match='no frame there'):
        color(path, overwrite=True, hints=[(99., 3, 3, 'red')])

def test_preview(tmp_path, tiny):
    path = write_film(tmp_path/'a.mkv', two_shots())
    dst = preview_film(path, None, tiny, False, working_size=64, steps=2)
    assert dst.name=='a.shots.jpg' and Image.open(dst).width>600
    assert sorted(o.name for o in tmp_path.iterdir())==['a.mkv', 'a.shots.jpg']

@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif'])
def test_a_preview_replaces_contact_sheets_alone(tmp_path, tiny, suffix):
    path,dst = write_film(tmp_path/'a.mkv', two_shots(2)),tmp_path/f'b.{suffix}'
    preview = lambda out: preview_film(path, out, tiny, False, working_size=64, steps=2)
    preview(dst)
    said = read_provenance(dst)
    assert said['DigitalSourceType'].endswith('compositeWithTrainedAlgorithmicMedia')
    assert (said['Seed'], said['Steps'], said['source_sha256'])==('0', '2', sha(path))
    assert said['ModelSHA256']==tiny.sha256
    assert preview(dst)==dst
    Image.open(dst).convert('L').save(dst, exif=b'') # without what it said of itself
    before = sha(dst)
    with pytest.raises(FileExistsError, match=f'b.{suffix} exists already and is no contact sheet'):
        preview(dst)
    assert sha(dst)==before

def test_the_contact_sheet_of_another_film_is_kept(tmp_path, tiny):
    "Unless somebody says overwrite"
    a,b = (write_film(tmp_path/f'{n}.mkv', two_shots(n)) for n in (1, 2))
    dst,how = tmp_path/'sheet.jpg',dict(working_size=64, steps=1)
    preview_film(a, dst, tiny, False, **how)
    before = sha(dst)
    with pytest.raises(FileExistsError, match='sheet.jpg is the contact sheet of another film'):
        preview_film(b, dst, tiny, False, **how)
    assert sha(dst)==before
    preview_film(b, dst, tiny, False, overwrite=True, **how)
    assert read_provenance(dst)['source_sha256']==sha(b)

def test_a_preview_goes_into_folders_that_are_there(tmp_path, tiny):
    path,folder = write_film(tmp_path/'a.mkv', two_shots(2)),tmp_path/'sheets'
    preview = lambda out: preview_film(path, out, tiny, False, working_size=64, steps=2)
    with pytest.raises(FileNotFoundError, match='sheets does not exist'):
        preview(folder/'b.jpg')
    folder.mkdir()
    assert preview(folder)==folder/'a.shots.jpg'
    assert [o.name for o in folder.iterdir()]==['a.shots.jpg']

def test_the_plan_of_a_killed_preview_is_not_taken_for_another_film(tmp_path, tiny, monkeypatch):
    path = write_film(tmp_path/'a.mkv', two_shots())
    preview = lambda: preview_film(path, None, tiny, False, working_size=64, steps=2)
    with monkeypatch.context() as m: # as if it was killed before it tidied up
        m.setattr(Path, 'rmdir', lambda self: None)
        m.setattr(Path, 'unlink', lambda self, *args, **kwargs: None)
        preview()
    (tmp_path/'a.shots.jpg').unlink()
    write_film(path, [picture(i) for i in range(2)])
    preview()
    assert Image.open(tmp_path/'a.shots.jpg').width<400 # one shot
    assert sorted(o.name for o in tmp_path.iterdir())==['a.mkv', 'a.shots.jpg'] # hidden ones, too

def test_a_hint_takes_a_time_from_the_table(tmp_path, color):
    "Of a film whose first frame comes after ten seconds"
    path = write_film(tmp_path/'a.mkv', two_shots(), times=[10_000+62*i for i in range(20)],
                      time_base='1/1000')
    rows = color(path).rows
    assert [o['begin'] for o in rows]==[0, 0.62] and rows[0]['end']<1
    hint = rows[1]['begin'],32,24,'red'
    assert color(path, overwrite=True, hints=[hint]).rows[1]['hints']==1

@pytest.mark.parametrize('text', ['['*100_000, '{', '\xff', '{"key": "k", "pts": [%d]}' % 10**30])
def test_what_was_kept_of_another_program_is_made_anew(tmp_path, text):
    from colorized.film.segments import Segments
    from colorized.film.stretches import load_plan
    for name in '000000.json', 'plan.json':
        (tmp_path/name).write_bytes(text.encode('latin-1'))
    assert Segments(tmp_path, None, {}).done(0, [0, 1]) is None
    assert load_plan(tmp_path/'plan.json', 'k') is None

def test_ten_thousand_shots_take_no_time():
    "Each was looked for among all"
    from colorized.film.record import shot_rows
    from colorized.film.shots import _Pass
    from colorized.film.stretches import Stretch
    n,film = 20_000,SimpleNamespace(time_base=Fraction(1, 25))
    state = _Pass(film)
    state.cuts.cuts,state.colored = list(range(1, n)),{i: i>=n//2 for i in range(0, n, 4)}
    state.fields.add = lambda o: None
    p = state.plan
    p.pts,p.durations,p.repeated = array('q', range(n)),array('q', [1]*n),bytearray(n)
    start = time.process_time()
    plan = state.finish()
    notes = [(Stretch(k, k, k, k+1), dict(kind='made', sha256=k)) for k in range(n)]
    rows = shot_rows(film, plan, notes, 0)
    assert time.process_time()-start<1.5
    assert [o.in_color for o in plan.shots]==[False]*(n//2)+[True]*(n//2)
    assert [o['segments'] for o in rows]==[[k] for k in range(n)]

def test_a_preview_keeps_small_pictures(tmp_path, tiny, monkeypatch):
    "A thousand shots of 1080p would be 6 GB"
    kept = []
    monkeypatch.setattr('colorized.film.film.write_sheet', lambda *a: kept.extend(a[2]))
    path = write_film(tmp_path/'a.mkv', [picture(0, (640, 480))], size=(640, 480))
    preview_film(path, tmp_path/'a.jpg', tiny, False, steps=1, working_size=64)
    assert [o.shape for _,o in kept]==[(240, 320, 3)]

def test_what_is_small_stays_small():
    "A picture of two columns, or of two rows, is not enlarged to a million"
    from colorized.film.record import contact_sheet, small_size
    from colorized.film.shots import thumbnail
    assert small_size((720, 576))==(320, 256) and small_size((720, 1280))==(320, 569)
    assert small_size((2, 4000))==(1, 640) and small_size((4000, 2))==(320, 1)
    assert contact_sheet([('a', np.zeros((4000, 2, 3), np.uint8))]).height<700
    for size in (2, 30000), (4000, 2), (48, 64):
        assert thumbnail(np.zeros(size, np.uint8), 8).size<=144*576
    assert thumbnail(np.zeros((48, 64), np.uint8), 8).shape==(144, 192)

def test_the_contact_sheet_of_many_shots_can_be_written(tmp_path):
    "It is not higher than its format allows"
    for name,format,n in ('a.jpg', 'JPEG', 170), ('a.webp', 'WEBP', 50):
        pictures = [('', np.zeros((320, 64, 3), np.uint8))]*n
        write_sheet(tmp_path/name, format, pictures, Provenance())
        assert is_sheet(tmp_path/name)
    assert contact_sheet([('', np.zeros((48, 64, 3), np.uint8))]*9).width==4*328+8

RUN = """
import sys, torch
from colorized.film.film import colorize_film
from colorized.film import stretches
from colorized.inference.colorizer import Colorizer
torch.set_num_threads(1)
stretches.stretches.__defaults__ = 6,
c = Colorizer.from_pretrained(sys.argv[1], 'cpu')
colorize_film(sys.argv[2], sys.argv[3], c, False, working_size=64, steps=2, gap=4, keep=True)
"""

def test_killed_and_run_again_the_bytes_are_the_same(tmp_path, model):
    "kill -9 as soon as some segments are there; both runs cut shots into short stretches"
    path = write_film(tmp_path/'a.mkv', two_shots(21), sound=1, codec='libx264',
                      options=dict(g='12', bf='2'))
    def start(out):
        return subprocess.Popen([sys.executable, '-c', RUN, model, path, tmp_path/out])
    p = start('whole.mkv')
    assert p.wait(timeout=120)==0
    folder,killed = tmp_path/'.killed.mkv.segments',0
    p = start('killed.mkv')
    until = time.time()+120
    while time.time()<until and p.poll() is None:
        if len(list(folder.glob('[0-9]*.json')))>=2+2*killed:
            os.kill(p.pid, signal.SIGKILL)
            p.wait()
            killed += 1
            p = start('killed.mkv')
            if killed==2:
                break
        time.sleep(0.002)
    assert p.wait(timeout=120)==0 and killed
    assert sha(tmp_path/'killed.mkv')==sha(tmp_path/'whole.mkv')

def dead_claim(path):
    path.write_text(json.dumps(dict(pid=4_000_000, host=socket.gethostname(), start='')))

def test_killed_at_the_end(tmp_path, color, monkeypatch):
    "Before the film has its name its sidecar is there; afterwards only leftovers remain to go"
    path = write_film(tmp_path/'a.mkv', [picture(i) for i in range(4)])
    folder = tmp_path/'.a.colorized.mkv.segments'
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        def killed(self):
            raise KeyboardInterrupt
        m.setattr('colorized.film.segments.Segments.remove', killed)
        color(path)
    said = json.loads((tmp_path/'a.colorized.json').read_text())
    assert said['output_sha256']==sha(tmp_path/'a.colorized.mkv') and folder.exists()
    (folder/'.plan.json.01234567.tmp').write_bytes(b'half')
    dead_claim(tmp_path/'.a.colorized.mkv.claim')
    assert color(path).skipped and not list(tmp_path.glob('.*'))

def test_killed_as_it_wrote_the_table(tmp_path, color):
    "Its beginning goes with that of the film, once somebody takes over"
    path = write_film(tmp_path/'a.mkv', [picture(i) for i in range(4)])
    for name in '.a.colorized.csv.01234567.tmp', '.a.colorized.json.01234567.tmp':
        (tmp_path/name).write_bytes(b'half')
    dead_claim(tmp_path/'.a.colorized.mkv.claim')
    color(path)
    assert not list(tmp_path.glob('.*'))

class FullDisk:
    "A file on a disk with room for so many bytes more"
    def __init__(self, f, room):
        self.f,self.room = f,room
    def write(self, data):
        self.room -= len(data)
        if self.room<0:
            raise OSError(28, 'No space left on device')
        return self.f.write(data)
    def __getattr__(self, name): return getattr(self.f, name)

@pytest.mark.parametrize('where', ['000001.mkv', 'a.colorized.mkv'])
def test_a_full_disk_keeps_what_is_done(tmp_path, color, monkeypatch, where):
    "There is no room for the second shot, or for the film; later there is"
    from contextlib import contextmanager
    from colorized.film import segments
    path = write_film(tmp_path/'a.mkv', two_shots())
    write,written = segments.atomic_write,[]
    @contextmanager
    def small(path, *args, **kwargs):
        with write(path, *args, **kwargs) as f:
            yield FullDisk(f, 3000) if path.name==where else f
    monkeypatch.setattr(segments, 'atomic_write', small)
    with pytest.raises(OSError, match='No space left.*'+where):
        color(path)
    assert not (tmp_path/'a.colorized.mkv').exists()
    assert (tmp_path/'.a.colorized.mkv.segments/000000.mkv').exists()
    @contextmanager
    def noted(path, *args, **kwargs):
        written.append(path.name)
        with write(path, *args, **kwargs) as f:
            yield f
    monkeypatch.setattr(segments, 'atomic_write', noted)
    assert color(path).frames==20
    assert written==['000001.mkv', 'a.colorized.mkv'][where=='a.colorized.mkv':]
