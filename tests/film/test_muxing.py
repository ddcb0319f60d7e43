"What is beside the pictures: covers, sound, text, attachments"
import io
from fractions import Fraction
import av, numpy as np, pytest
from PIL import Image
from film_files import frame, luma_planes, packets, picture, write_film
from colorized.film.container import FilmError, open_film

def cover(color='red'):
    "A JPEG as bytes"
    f = io.BytesIO()
    Image.new('RGB', (60, 40), color).save(f, 'JPEG')
    return f.getvalue()

def with_cover(path, source):
    "An MP4 with a cover; FFmpeg writes one only without tags of any name"
    with av.open(str(source)) as a, av.open(str(path), 'w') as b:
        of = {s.index: b.add_stream_from_template(s) for s in a.streams}
        c = b.add_stream('mjpeg', rate=1)
        c.width,c.height,c.pix_fmt = 60,40,'yuvj420p'
        c.disposition = av.stream.Disposition.attached_pic
        b.start_encoding()
        packet = av.Packet(cover())
        packet.stream,packet.pts,packet.dts = c,0,0
        b.mux(packet)
        for o in a.demux():
            if o.size:
                o.stream = of[o.stream.index]
                b.mux(o)
    return path

def with_sound(path, codec):
    "With a second of silence"
    def setup(c, s):
        a = c.add_stream(codec, rate=8000)
        a.layout = 'mono'
        c.start_encoding()
        n = a.codec_context.frame_size or 1000
        for i in range(0, 8000-n, n):
            o = av.AudioFrame(a.format.name, 'mono', n)
            o.planes[0].update(bytes(o.planes[0].buffer_size))
            o.sample_rate,o.pts = 8000,i
            c.mux(a.encode(o))
        c.mux(a.encode(None))
    return write_film(path, SMALL, codec='libx264', setup=setup)

def covers(path):
    "(name, bytes) of each cover"
    with av.open(str(path)) as c:
        is_cover = lambda s: s.disposition & av.stream.Disposition.attached_pic
        kept = {s.index: s.metadata.get('filename') for s in c.streams.video if is_cover(s)}
        return [(kept[o.stream.index], bytes(o)) for o in c.demux()
                if o.size and o.stream.index in kept]

SMALL = [picture(i) for i in range(4)]
REFUSED = {
    'subtitles': (dict(setup=lambda c, s: c.add_stream('ass')), 'a.mp4', None, 'ssa.*take .mkv'),
    'attachment': (dict(setup=lambda c, s: c.add_attachment('b.txt', 'text/plain', b'reel 1')),
                   'a.mp4', None, 'attachment b.txt.*take .mkv'),
    'odd': (dict(size=(63, 47)), 'a.mov', None, 'libx264 does not take 63×47.*take .mkv'),
    'gray': (dict(pix_fmt='gray12le'), 'a.mov', None, 'libx264 does not take 64×48 yuv'),
    'av1': (dict(pix_fmt='yuv444p'), 'a.mp4', 'av1', 'libsvtav1 does not take 64×48 yuv444p')}

@pytest.mark.parametrize('options, out, codec, said', REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_written_is_refused_before_it_is_colored(tmp_path, color, options, out,
                                                                 codec, said):
    w,h = options.get('size', (64, 48))
    path = write_film(tmp_path/'reel.mkv', [o[:h,:w] for o in SMALL], **options)
    with pytest.raises(FilmError, match=said):
        color(path, tmp_path/out, codec=codec)
    assert [*tmp_path.iterdir()]==[path], 'its segments would be there'
    assert color(path).frames==4 # as the message says

def test_it_says_where_sound_would_fit(tmp_path, color):
    path = with_sound(tmp_path/'reel.mov', 'pcm_s8')
    with pytest.raises(FilmError, match='pcm_s8.*cannot be put into matroska: take .mov$'):
        color(path)
    assert color(path, tmp_path/'out.mov').frames==4
    path = with_sound(tmp_path/'reel.avi', 'adpcm_ms')
    said = 'adpcm_ms.*into mov: no container here takes it: ffmpeg .*NEW.avi'
    with pytest.raises(FilmError, match=said):
        color(path, tmp_path/'other.mov')

def test_chapters_are_no_stream_that_is_left_behind(tmp_path, color):
    chapter = dict(id=1, start=0, end=600, time_base=Fraction(1, 1000), metadata={'title': 'One'})
    path = write_film(tmp_path/'reel.mp4', SMALL, codec='libx264',
                      setup=lambda c, s: c.set_chapters([chapter]))
    report = color(path)
    assert not [o for o in report.remarks if 'left behind' in o]
    with av.open(str(report.output)) as c:
        assert [o['metadata']['title'] for o in c.chapters()]==['One']

def test_a_cover_stays(tmp_path, color):
    path = write_film(tmp_path/'reel.mkv', [picture(i) for i in range(4)], setup=lambda c, s:
                      c.add_attachment('small_cover.jpg', 'image/jpeg', cover()))
    assert covers(path)==covers(color(path).output)==[('small_cover.jpg', cover())]

def test_a_cover_from_mp4_stays_in_matroska_and_is_told_of_elsewhere(tmp_path, color):
    plain = write_film(tmp_path/'plain.mp4', [picture(i) for i in range(4)], codec='libx264')
    path = with_cover(tmp_path/'reel.mp4', plain)
    assert [o for _,o in covers(path)]==[cover()]
    report = color(path)
    assert covers(report.output)==[('cover.jpg', cover())]
    assert not [o for o in report.remarks if 'cover' in o]
    assert [o for o in color(path, tmp_path/'out.mp4').remarks if 'cover' in o and '.mkv' in o]

def test_a_cover_that_comes_first_is_not_the_film(tmp_path, color):
    "Its box moved before the tracks"
    plain = write_film(tmp_path/'plain.mp4', [picture(i) for i in range(4)], codec='libx264')
    raw = with_cover(tmp_path/'reel.mp4', plain).read_bytes()
    begin = raw.rindex(b'moov')+4
    boxes,at = {},begin
    while at<len(raw):
        size = int.from_bytes(raw[at:at+4], 'big')
        boxes[raw[at+4:at+8]],at = raw[at:at+size],at+size
    order = sorted(boxes, key=lambda o: (o!=b'mvhd', o!=b'udta'))
    path = tmp_path/'first.mp4'
    path.write_bytes(raw[:begin]+b''.join(boxes[o] for o in order))
    with av.open(str(path)) as c:
        assert c.streams.video[0].width==60, 'the cover does not come first: find another way'
    film = open_film(path)
    assert (film.width,film.height)==(64,48)
    assert [o.shape for _,o in luma_planes(color(path).output)]==[(48, 64)]*4

@pytest.mark.parametrize('into', ['.mkv', '.mov', '.mp4'])
@pytest.mark.parametrize('of', ['.mkv', '.mov', '.mp4'])
def test_titles_and_languages_of_sound_stay(tmp_path, color, of, into):
    "FFmpeg calls a title of MP4 and MOV a name, and MOV has a table of languages of its own"
    path = write_film(tmp_path/f'reel{of}', SMALL, codec='libx264', sound=3)
    with av.open(str(color(path, tmp_path/f'out{into}').output)) as c:
        told = [(o.language, o.metadata.get('title') or o.metadata['name'])
                for o in c.streams.audio]
        assert into!='.mkv' or 'NAME' not in c.streams.audio[0].metadata
    assert [title for _,title in told]==['track 0', 'track 1', 'track 2']
    assert [language for language,_ in told][1:]==['eng', 'fra']
    if of!='.mov': # there the test's own 'deu' is lost
        assert told[0][0]==('ger' if into=='.mov' else 'deu')

def hide_first_second(path, rates):
    "Have the edit lists of an MP4 begin a second later, as phones trim; `rates`: ticks a second"
    data = bytearray(path.read_bytes())
    at = data.index(b'moov')
    for kind,rate in rates.items():
        at = data.index(b'elst', data.index(kind, at)-400)
        begin = int.from_bytes(data[at+16:at+20], 'big')
        data[at+16:at+20] = (begin+rate).to_bytes(4, 'big')
    path.write_bytes(data)

def test_what_an_edit_list_hides_is_not_heard_in_matroska(tmp_path, color):
    path = tmp_path/'reel.mp4'
    with av.open(str(path), 'w') as c:
        s,a = c.add_stream('libx264', rate=25, options=dict(g='1', bf='0')),c.add_stream('aac')
        s.width,s.height,s.pix_fmt,s.time_base = 64,48,'yuv420p',Fraction(1, 25)
        a.layout,a.rate = 'mono',48000
        c.start_encoding()
        for i in range(75):
            c.mux(s.encode(frame(picture(i), 'yuv420p', i)))
        for i in range(140):
            o = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
            o.sample_rate,o.pts,o.time_base = 48000,1024*i,Fraction(1, 48000)
            c.mux(a.encode(o))
        for o in s,a:
            c.mux(o.encode(None))
        ticks = int(1/s.time_base)
    whole = packets(color(path, tmp_path/'whole.mkv').output)[0][2]
    assert whole[0][0]<0 and len(whole)>140 # what the decoder needs before the sound
    hide_first_second(path, {b'vide': ticks, b'soun': 48000})
    kept = packets(color(path, tmp_path/'trimmed.mkv').output)[0][2]
    assert -0.1<=kept[0][0]<0 and len(kept)<len(whole)-40
    assert {o for _,o in kept}<={o for _,o in whole}

def test_raw_dv_becomes_a_copy_for_viewing(tmp_path, color):
    "FFmpeg says 60000 pictures a second of it"
    path = write_film(tmp_path/'tape.dv', [picture(i, (720, 576)) for i in range(2)],
                      codec='dvvideo', rate=25, size=(720, 576))
    assert open_film(path).rate==25
    with av.open(str(color(path, tmp_path/'tape.mp4', codec='h264').output)) as c:
        assert c.streams.video[0].average_rate==25

def test_teletext_is_left_behind_and_told_of(tmp_path, color):
    path = tmp_path/'reel.ts'
    with av.open(str(path), 'w') as c:
        s,t = c.add_stream('mpeg2video', rate=25),c.add_mux_stream('dvb_teletext')
        s.width,s.height,s.pix_fmt,t.time_base = 64,48,'yuv420p',Fraction(1, 90000)
        c.start_encoding()
        for i in range(8):
            f = frame(picture(i), 'yuv420p', i)
            f.time_base = Fraction(1, 25)
            c.mux(s.encode(f))
        o = av.Packet(b'\x10'+2*(b'\x02\x2c'+b'\xff'*44))
        o.stream,o.pts,o.dts,o.time_base = t,3600,3600,Fraction(1, 90000)
        c.mux(o)
        c.mux(s.encode(None))
    report = color(path)
    assert report.frames==8
    assert 'stream 1 (subtitles of an unknown kind) is left behind' in report.remarks

def test_captions_inside_the_pictures_are_told_of(tmp_path, color):
    "As user data of MPEG-2 (ATSC A/53)"
    captions = (b'GA94'+bytes([3, 0x42, 0xff])+bytes([0xfc, 0x94, 0x20, 0xfc, 0xc8, 0xe5])+b'\xff')
    path = tmp_path/'reel.mpg'
    write_film(path, [picture(i) for i in range(8)], codec='mpeg2video', rate=25)
    assert not [o for o in color(path).remarks if 'captions' in o]
    with av.open(str(path)) as a, av.open(str(tmp_path/'told.ts'), 'w') as b:
        s = b.add_stream_from_template(a.streams.video[0])
        for o in a.demux(video=0):
            data = bytes(o)
            if (at := data.find(b'\0\0\1\x01'))>=0: # the first slice
                new = av.Packet(data[:at]+b'\0\0\1\xb2'+captions+data[at:])
                new.stream,new.pts,new.dts,new.time_base = s,o.pts,o.dts,o.time_base
                b.mux(new)
    said = [o for o in color(tmp_path/'told.ts').remarks if 'captions' in o]
    assert said==['has captions inside its pictures (CEA-608 or 708): they are left behind']
