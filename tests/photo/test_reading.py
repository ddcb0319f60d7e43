"What is opened and what is refused: pages, phones, damage, hostile files, threads"
import io, logging, os, re, struct, threading, time, warnings, zlib
import imagecodecs, numpy as np, pillow_heif, pytest, tifffile, torch
from PIL import Image
from colorized.photo import reading
from colorized.photo.blocks import check_items, check_jpeg, codestreams
from colorized.photo.reading import (MAX_PIXELS, open_image, open_rgb, read_scan,
                                     scan_from_pillow)
from colorized.photo.scan import ScanError
from colorized.photo.xmp import XMP_NAMESPACES
from colorized.photo.writing import write_color
from exif import tags
from photo_files import WRITE, ab, exif_with, gray16, gray8, largest, png_chunk, rgb8

@pytest.mark.parametrize('format', ['HEIF', 'AVIF'])
def test_telephones_turn_their_photographs_in_the_container(format, tmp_path):
    exif,f,out = exif_with(orientation=6, description='Grandmother'),tmp_path/'a',tmp_path/'out.png'
    Image.fromarray(rgb8).save(f, format, quality=100, exif=exif.tobytes())
    assert b'irot' in f.read_bytes()
    s,upright = read_scan(f),np.rot90(rgb8, -1)
    assert s.shape==upright.shape[:2] and np.abs(s.pixels.astype(int)-upright).mean()<3
    write_color(out, s, ab)
    t = tags(out)
    assert t['IFD0:Orientation']=='Horizontal (normal)'
    assert t['IFD0:ImageDescription']=='Grandmother'

def test_of_several_pictures_the_main_one_is_read():
    out = io.BytesIO()
    several = pillow_heif.from_bytes('L', gray8.shape[::-1], (255-gray8).tobytes())
    several.add_frombytes('L', gray8.shape[::-1], gray8.tobytes())
    several.save(out, quality=-1, primary_index=1)
    s = read_scan(out.getvalue())
    assert largest(s.pixels, gray8)<=1 and s.warnings==['only the main of 2 pages was read']

def test_first_page_and_a_warning(tmp_path):
    pages = np.stack([gray16, 65535-gray16, gray16])
    tifffile.imwrite(tmp_path/'m.tif', pages, photometric='minisblack', metadata=None)
    s = read_scan(tmp_path/'m.tif')
    assert np.array_equal(s.pixels, gray16)
    assert s.warnings==['only the first of 3 pages was read']

def test_second_views_of_a_jpeg_are_no_pages():
    f,im = io.BytesIO(),Image.fromarray(rgb8)
    im.save(f, 'MPO', save_all=True, append_images=[im], quality=100)
    s = read_scan(f.getvalue())
    assert s.format=='JPEG' and not s.warnings and np.abs(s.pixels.astype(int)-rgb8).mean()<3

def write_pages(path, *pages):
    with tifffile.TiffWriter(path) as f:
        for x,options in pages: f.write(x, metadata=None, **options)

def test_a_preview_is_not_taken_for_the_photograph(tmp_path):
    "Camera raw files begin with one, the picture follows in a directory below or behind"
    small,photo = gray8[:8,:8],(gray8, {})
    write_pages(tmp_path/'raw.dng', (small, dict(subfiletype=1, subifds=1)), photo)
    write_pages(tmp_path/'first.tif', (small, dict(subfiletype=1)), photo)
    for o in 'raw.dng','first.tif':
        with pytest.raises(ScanError, match=f'{o}.*preview'): read_scan(tmp_path/o)
    write_pages(tmp_path/'last.tif', photo, (small, dict(subfiletype=1)))
    s = read_scan(tmp_path/'last.tif')
    assert np.array_equal(s.pixels, gray8) and not s.warnings

@pytest.mark.parametrize('name, head', [
    ('a.cr2', b'II*\0\x10\0\0\0CR\2\0'), ('a.cr3', b'\0\0\0\x18ftypcrx '),
    ('a.raf', b'FUJIFILMCCD-RAW '),
    ('a.crw', b'II\x1a\0\0\0HEAPCCDR'), ('a.orf', b'IIRO\x08'), ('a.rw2', b'IIU\0\x18'),
    ('a.mrw', b'\0MRM'), ('a.x3f', b'FOVb')])
def test_raw_of_a_camera_is_refused_with_advice(name, head, tmp_path):
    (tmp_path/name).write_bytes(head.ljust(64, b'\0'))
    with pytest.raises(ScanError, match=f'{name}: is a camera raw file.*develop it to a TIFF'):
        read_scan(tmp_path/name)

def test_dng_is_refused_with_advice_wherever_the_sensor_stands(tmp_path):
    "In the first directory, or below that of a preview, which is no photograph"
    version = [(50706, 1, 4, b'\1\4\0\0', True)]
    mosaic = dict(photometric=32803, extratags=version)
    small = gray8[:8,:8]
    write_pages(tmp_path/'a.dng', (gray16, mosaic))
    write_pages(tmp_path/'b.dng', (small, dict(subfiletype=1, subifds=1)), (gray16, mosaic))
    write_pages(tmp_path/'c.nef', (small, dict(subifds=1)), (gray16, dict(photometric=32803)))
    for name in 'a.dng','b.dng','c.nef':
        with pytest.raises(ScanError, match=f'{name}: is a camera raw file.*develop'):
            read_scan(tmp_path/name)

def test_a_document_of_photoshop_is_refused_with_advice(tmp_path):
    "One that Pillow opens"
    head = b'8BPS'+struct.pack('>H6xHIIHH', 1, 3, 2, 3, 8, 3)+bytes(12)+b'\0\0'+bytes(18)
    (tmp_path/'a.psd').write_bytes(head)
    assert Image.open(tmp_path/'a.psd').format=='PSD'
    with pytest.raises(ScanError, match='a.psd: is a Photoshop document.*flattened as TIFF'):
        read_scan(tmp_path/'a.psd')

def seconds_to_read(data):
    "Of CPU"
    start = time.process_time()
    try: read_scan(data)
    except ScanError: pass
    return time.process_time()-start

@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('big', [False, True])
def test_pages_that_lead_round_in_a_circle_end(order, big, tmp_path):
    "tifffile looks for the circle at page 100 only, and read for ever"
    f = tmp_path/'a.tif'
    tifffile.imwrite(f, np.zeros((120,8,8), np.uint8), photometric='minisblack', metadata=None,
                     byteorder=order, bigtiff=big)
    assert read_scan(f).warnings==['only the first of 120 pages was read']
    with tifffile.TiffFile(f) as tiff:
        before,last = tiff.pages[118].offset,tiff.pages[119]
        sizes = tiff.tiff.tagnosize,tiff.tiff.tagsize,tiff.tiff.offsetformat
        end = last.offset+sizes[0]+len(last.tags)*sizes[1]
    data = bytearray(f.read_bytes())
    struct.pack_into(sizes[2], data, end, before)
    f.write_bytes(data)
    with pytest.raises(ScanError, match='a.tif: .*TIFF whose pages lead round in a circle'):
        read_scan(f)

def chain(n, *entries, tail=b''):
    "A TIFF whose first page is a picture, and `n` more of one entry, whose values may be the tail"
    out = io.BytesIO()
    tifffile.imwrite(out, gray8[:8,:8], metadata=None, byteorder='<')
    data = bytearray(out.getvalue())
    first, = struct.unpack_from('<I', data, 4)
    size,start = 2+12*len(entries)+4,len(data)+len(tail)
    struct.pack_into('<I', data, first+2+12*struct.unpack_from('<H', data, first)[0], start)
    for i in range(n):
        tail += struct.pack('<H', len(entries))
        tail += b''.join(struct.pack('<HHII', *o, len(data)) for o in entries)
        tail += struct.pack('<I', start+(i+1)*size if i<n-1 else 0)
    return bytes(data)+tail

def test_a_tiff_has_so_many_pages_and_no_more():
    s = read_scan(chain(999, (305, 2, 9)))
    assert s.warnings==['only the first of 1000 pages was read']
    with pytest.raises(ScanError, match='TIFF of more than 1000 pages: split it'):
        read_scan(chain(1000, (305, 2, 9)))

def test_what_lies_below_pages_is_looked_at_here_and_there():
    "500 pages with the same 500 below each: 11 kB took 6 s and 244 MB"
    lower = struct.pack('<HHHIIH', 1, 256, 3, 1, 8, 0)+bytes(2)
    data = chain(500, (330, 4, 500), tail=500*struct.pack('<I', 8)+lower)
    assert seconds_to_read(data)<1

def test_pages_do_not_share_the_tables_of_their_pixels():
    "900 pages, each with the same 100,000 strips: 400 kB took 9 s"
    data = chain(900, (273, 4, 100_000), (279, 4, 100_000), tail=bytes(400_000))
    with pytest.raises(ScanError, match='share the tables of their pixels'): read_scan(data)

def test_no_frames_are_made_up(monkeypatch):
    "As tifffile does for microscopes: frames times strips, 427 kB took 155 MB"
    made = []
    monkeypatch.setattr(tifffile.TiffPages, '_load_virtual_frames', lambda o: made.append(o))
    out = io.BytesIO()
    tifffile.imwrite(out, gray8, description='state.config.x=1', metadata=None)
    out.seek(0)
    assert tifffile.TiffFile(out).is_scanimage and made
    made.clear()
    assert read_scan(out.getvalue()).shape==gray8.shape and not made

def test_samples_are_limited_as_pixels_are(tmp_path):
    "Found by fuzzing: 65,535 samples a pixel took half a gigabyte before the refusal"
    f = tmp_path/'a.tif'
    tifffile.imwrite(f, gray8, metadata=None, byteorder='<')
    one,many = [struct.pack('<HHII', 277, 3, 1, o) for o in (1, 65535)]
    assert f.read_bytes().count(one)==1
    f.write_bytes(f.read_bytes().replace(one, many))
    with pytest.raises(ScanError, match='values in its pixels.*are more than the limit of 8'):
        read_scan(f, max_pixels=4e6)

def cut_finely(data, where):
    "The same codestream with precincts of 2×2 pixels in a header: its own, a tile's, or hidden"
    at,sot = data.index(b'\xff\x52'),data.index(b'\xff\x90')
    n, = struct.unpack('>H', data[at+2:at+4])
    style = b'\xff\x52'+struct.pack('>HB', n+6, 1)+data[at+5:at+2+n]+6*b'\x11'
    if where=='hidden': style = b'\xff\x6f'+struct.pack('>H', len(style)+2)+style
    if where!='tile': return data[:at]+style+data[at+2+n:]
    size, = struct.unpack('>I', data[sot+6:sot+10])
    size = struct.pack('>I', size+len(style))
    return data[:sot+6]+size+data[sot+10:sot+12]+style+data[sot+12:]

@pytest.mark.parametrize('bare', [True, False])
@pytest.mark.parametrize('where', ['main', 'tile', 'hidden'])
def test_a_picture_is_not_cut_into_crumbs(where, bare):
    "Found by fuzzing: a JPEG 2000 of 3 kB took 2.2 GB, 540 bytes for each of its code blocks"
    out = io.BytesIO()
    Image.fromarray(np.zeros((640,640), np.uint8)).save(out, 'JPEG2000', no_jp2=bare)
    data,more = out.getvalue(),b'\0\0\0\x0cuuidmore'
    assert read_scan(data, 500_000).shape==read_scan(data+more, 500_000).shape==(640,640)
    data = re.sub(b'....jp2c', bytes(4)+b'jp2c', data, flags=re.DOTALL) # to the end of the file
    with pytest.raises(ScanError, match='up to 4[0-9]{5} code blocks, 10000 are allowed'):
        read_scan(cut_finely(data, where), 500_000)

def test_headers_inside_each_others_comments_are_counted():
    "Of n of them the first held n-1, the second n-2: 1.6 MB took minutes"
    out = io.BytesIO()
    Image.fromarray(gray8).save(out, 'JPEG2000', no_jp2=True)
    data = out.getvalue()
    at = data.index(b'\xff\x52')
    inside = b'jp2c'+data[:at]
    comment = b'\xff\x64'+struct.pack('>H', 2+len(inside))+inside
    assert read_scan(data[:at]+300*comment+data[at:]).shape==gray8.shape
    with pytest.raises(ScanError, match='more than 200000 markers in its headers'):
        read_scan(data[:at]+700*comment+data[at:])

def test_a_tile_without_an_end_ends():
    "Its size leads back to where it was read: reading the headers took for ever"
    out = io.BytesIO()
    Image.fromarray(gray8).save(out, 'JPEG2000', no_jp2=True, irreversible=False)
    data = out.getvalue()
    sot = data.index(b'\xff\x90')
    assert data[sot+12:sot+14]==b'\xff\x93'
    with pytest.raises(ScanError, match='broken data'): # says Pillow
        read_scan(data[:sot+6]+struct.pack('>I', 12)+data[sot+10:])

def j2k(side, parts=1, layers=1, precincts=b''):
    "A codestream of 16 bits without data"
    siz = struct.pack('>2H8IH', 38+3*parts, 0, side, side, 0, 0, side, side, 0, 0, parts)
    cod = struct.pack('>HBBHB', 12+len(precincts), bool(precincts), 0, layers, 0)
    cod += bytes([max(len(precincts)-1, 0) if precincts else 5, 4, 4, 0, 1])+precincts
    qcd = struct.pack('>HHBB', 0xff5c, 4, 0x40, 0x40)
    tile = struct.pack('>HHHIBB', 0xff90, 10, 0, 0, 0, 1)+b'\xff\x93'+bytes(64)
    head = b'\xff\x4f\xff\x51'+siz+parts*b'\x0f\1\1'
    return head+b'\xff\x52'+cod+qcd+tile+b'\xff\xd9'

def test_layers_of_quality_are_counted():
    "146 bytes with 16,000 of them took 12 s and 489 MB"
    with pytest.raises(ScanError, match='layers of quality, into up to [0-9]{9} pieces'):
        read_scan(j2k(2000, layers=16000, precincts=b'\x44'))
    with pytest.raises(ScanError, match='layers of quality'): read_scan(j2k(8000, layers=65535))
    usual, = codestreams(j2k(15800, parts=4, layers=50))
    fine, = codestreams(j2k(15800, parts=3, layers=20, precincts=5*b'\x77'+b'\x88'))
    for o in usual,fine: assert o.visits<20*MAX_PIXELS/50 and o.width==15800

def test_components_are_counted():
    "Each takes four bytes a pixel, whatever the container says of their number"
    box = lambda kind, body: struct.pack('>I4s', len(body)+8, kind)+body
    header = box(b'ihdr', struct.pack('>2IH4B', 1000, 1000, 3, 15, 7, 0, 0))
    header = box(b'jp2h', header+box(b'colr', b'\1\0\0'+struct.pack('>I', 16)))
    head = box(b'jP  ', b'\r\n\x87\n')+box(b'ftyp', b'jp2 \0\0\0\0jp2 ')
    head += header+box(b'free', b'1234')
    for parts in 5,6,100:
        with pytest.raises(ScanError, match=f'1000×1000 pixels and {parts} components'):
            read_scan(head+box(b'jp2c', j2k(1000, parts)), max_pixels=1e6)

def tiles_of_jpeg2000(n, side, data):
    "A TIFF of `n` tiles of 16 bits, all of which are the same data"
    start = 8+2+12*12+4+len(data)
    tags = [(256, n*side), (257, side), (258, 16), (259, 34712), (262, 1), (277, 1), (284, 1),
            (322, side), (323, side), (324, start), (325, start+4*n), (339, 1)]
    entry = lambda k, v: struct.pack('<HHII', k, 4, n if k in (324, 325) else 1, v)
    head = b'II*\0'+struct.pack('<IH', 8, len(tags))+b''.join(entry(*o) for o in tags)+bytes(4)
    return head+data+n*struct.pack('<I', len(head))+n*struct.pack('<I', len(data))

def test_tiles_of_jpeg2000_may_share_their_bytes_but_not_for_ever():
    one = imagecodecs.jpeg2k_encode(gray16[:16,:16].copy(), level=0, codecformat='j2k')
    x = read_scan(tiles_of_jpeg2000(9, 16, one)).pixels
    assert np.array_equal(x, np.tile(gray16[:16,:16], 9))
    with pytest.raises(ScanError, match='in 9 strips or tiles with 1[0-9]{8} bytes in all'):
        read_scan(tiles_of_jpeg2000(9, 16, one+bytes(20_000_000)))
    with pytest.raises(ScanError, match='strips or tiles have 2250000 pixels, 2000000 are allowed'):
        read_scan(tiles_of_jpeg2000(9, 16, j2k(500)), max_pixels=1e6)

@pytest.mark.parametrize('suffix', ['jp2', 'tif'])
def test_a_codestream_is_measured_whatever_its_container_says(suffix, tmp_path):
    f = tmp_path/f'a.{suffix}'
    if suffix=='jp2': f.write_bytes(imagecodecs.jpeg2k_encode(gray16, level=0, codecformat='jp2'))
    else: tifffile.imwrite(f, gray16, compression='jpeg2000', metadata=None)
    assert np.array_equal(read_scan(f).pixels, gray16)
    data = bytearray(f.read_bytes())
    at = data.index(b'\xff\x4f\xff\x51')
    for i in 8,24: data[at+i:at+i+8] = struct.pack('>2I', 60000, 60000) # of the picture, of tiles
    f.write_bytes(data)
    with pytest.raises(ScanError, match='JPEG 2000 of 60000×60000 pixels'): read_scan(f)

def test_a_tile_is_no_larger_than_pictures_may_be(tmp_path):
    "Found by fuzzing: 450 bytes with one tile of 33,554,673 × 16 pixels took half a gigabyte"
    f = tmp_path/'a.tif'
    tifffile.imwrite(f, gray8, metadata=None, byteorder='<', tile=(16,16))
    assert read_scan(f).shape==gray8.shape
    with tifffile.TiffFile(f, mode='r+') as tiff:
        tiff.pages[0].tags['TileWidth'].overwrite(33_554_672)
    with pytest.raises(ScanError, match='536874752 values in its pixels, or in a tile'):
        read_scan(f, max_pixels=4e6)

def gif(w, h, left, top):
    "A GIF of w×h pixels by its header, whose frame of 3×2 lies elsewhere"
    f = io.BytesIO()
    Image.fromarray(gray8[:2,:3]).save(f, 'GIF')
    frame = struct.pack('<4H', 0, 0, 3, 2)
    head,rest = f.getvalue().split(b','+frame)
    head = head[:6]+struct.pack('<2H', w, h)+head[10:]
    return head+b','+struct.pack('<2H', left, top)+frame[4:]+rest

def test_a_gif_is_measured_before_memory_is_taken(tmp_path):
    "Found by fuzzing: in its header, and in a frame that lies beyond it"
    import resource
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read_scan(gif(3, 2, 0, 0), max_pixels=1e6)
    before = peak()
    for data in gif(65535, 65535, 0, 0),gif(3, 2, 60000, 60000):
        with pytest.raises(ScanError, match='limit of 1 megapixels'):
            read_scan(data, max_pixels=1e6)
    assert peak()-before<100_000 # kB; the frames would take 3.6 GB and more

def test_sides_have_an_end(tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', np.zeros((1,100001), np.uint8), compression='adobe_deflate')
    with pytest.raises(ScanError, match='100001×1 pixels, a side may have 100000 at most'):
        read_scan(tmp_path/'a.tif')

@pytest.mark.parametrize('format, outcome', [('AVIF', 'EXIF is damaged'), ('HEIF', None)])
def test_items_that_are_no_text_kill_nobody(format, outcome, tmp_path):
    "Found by fuzzing: pi-heif dies of them, and with it the process"
    f = tmp_path/'a'
    Image.fromarray(rgb8).save(f, format, exif=exif_with(description='Grandmother').tobytes())
    kind = b'\0\0Exif'
    assert f.read_bytes().count(kind)==1
    f.write_bytes(f.read_bytes().replace(kind, b'\0\0\xb3\x87if'))
    if outcome:
        assert outcome in read_scan(f).warnings[0]
        return
    data = f.read_bytes()
    at = data.index(b'meta')-4
    for before in b'',struct.pack('>I4sQ', 1, b'free', 16): # whose length has 64 bits
        f.write_bytes(data[:at]+before+data[at:])
        with pytest.raises(ScanError, match='a: damaged or not supported'): read_scan(f)

def jpeg_with(scans=0, exif=0, side=8):
    "A progressive JPEG with more empty scans, and more segments of EXIF, than it has"
    out = io.BytesIO()
    Image.new('L', (side, side), 100).save(out, 'JPEG', progressive=True, quality=90)
    data = out.getvalue()
    scan,segment = b'\xff\xda\0\x08\1\1\0\1\x3f\0',b'\xff\xe1\0\x09Exif\0\0x'
    return data[:2]+exif*segment+data[2:-2]+scans*scan+data[-2:]

@pytest.mark.parametrize('what', ['scans', 'exif'])
def test_scans_and_exif_of_a_jpeg_are_counted(what):
    "3,000 scans at 4 megapixels took seconds, and 30,000 segments of EXIF"
    assert read_scan(jpeg_with(**{what: 50})).shape==(8,8)
    with pytest.raises(ScanError, match='JPEG with more than 100 scans or segments of EXIF'):
        read_scan(jpeg_with(**{what: 3000}, side=100))

def test_what_lies_behind_a_jpeg_is_not_counted():
    assert read_scan(jpeg_with()+jpeg_with(scans=200)).shape==(8,8)

def test_markers_of_a_large_jpeg_are_found_quickly():
    "Ten million bytes that might be markers, and are pixels"
    data = jpeg_with()
    start = time.process_time()
    check_jpeg(data[:-2]+10_000_000*b'\xff\0'+data[-2:])
    assert time.process_time()-start<2

def packed_bmp(w, h):
    "Of run lengths: each row one pixel, and the end of the row"
    body = b'\1\0\0\0'*h+b'\0\1'
    header = struct.pack('<IiiHHIIiiII', 40, w, h, 1, 8, 1, len(body), 0, 0, 256, 0)
    head = b'BM'+struct.pack('<IHHI', 54+1024+len(body), 0, 0, 54+1024)
    return head+header+b''.join(bytes([i, i, i, 0]) for i in range(256))+body

def test_a_bmp_of_run_lengths_is_not_unpacked_for_ever():
    "Pillow does it in Python: 33 kB of 80 megapixels took 12 s"
    assert read_scan(packed_bmp(30, 20)).shape==(20,30)
    with pytest.raises(ScanError, match='run lengths and more than 50 megapixels: save it as TIFF'):
        read_scan(packed_bmp(10000, 5001))

def heif(images, metas, extents, size):
    "A container of `images`, each with `metas`, of which each lies in `extents` of `size` bytes"
    box = lambda kind, body: struct.pack('>I4s', len(body)+8, kind)+body
    full = lambda kind, body, version=0: box(kind, bytes([version, 0, 0, 0])+body)
    n = images+metas
    name = lambda i, kind: full(b'infe', struct.pack('>2H4s', i+1, 0, kind)+b'\0', 2)
    names = b''.join(name(i, b'hvc1' if i<images else b'mime') for i in range(n))
    piece = struct.pack('>2I', 0, size)
    place = lambda i, k: struct.pack('>3H', i+1, 0, k)+k*piece
    places = b''.join(place(i, 1 if i<images else extents) for i in range(n))
    inside = full(b'iinf', struct.pack('>H', n)+names)
    inside += full(b'iloc', b'\x44\0'+struct.pack('>H', n)+places)
    return io.BytesIO(box(b'ftyp', b'heic')+full(b'meta', inside)+box(b'mdat', bytes(size)))

def test_items_of_a_container_are_no_larger_than_it():
    "116 kB, of which a piece was said a hundred times of each of hundreds of pictures, took 436 MB"
    check_items(heif(300, 2, 1, 50_000))
    with pytest.raises(ValueError, match='an item that is larger than the file'):
        check_items(heif(1, 1, 3, 50_000))
    with pytest.raises(ValueError, match='gives [0-9]+ bytes to each of many pictures'):
        check_items(heif(300, 20, 1, 50_000))

# Pictures in memory

@pytest.mark.parametrize('x', [gray8, gray16, rgb8, np.dstack([rgb8, gray8])])
def test_pillow_pictures(x):
    s = scan_from_pillow(Image.fromarray(x))
    assert np.array_equal(s.pixels, x[...,:3] if x.ndim==3 else x) and s.path=='<memory>'
    assert (s.alpha is None)==(x.ndim==2 or x.shape[2]==3)

def test_pillow_pictures_are_turned_and_keep_profile_and_xmp():
    f,icc = io.BytesIO(),imagecodecs.cms_profile('adobergb')
    Image.fromarray(rgb8).save(f, 'PNG', exif=exif_with(orientation=6), icc_profile=icc)
    s = scan_from_pillow(Image.open(f))
    assert np.array_equal(s.pixels, np.rot90(rgb8, -1)) and s.icc==icc
    im = Image.fromarray(gray8)
    im.info['xmp'] = b'packet'
    assert scan_from_pillow(im).xmp==b'packet'

def test_pillow_integers_and_floats():
    x = gray16.astype(np.int32)
    s = scan_from_pillow(Image.fromarray(x))
    assert s.pixels.dtype==np.uint16 and np.array_equal(s.pixels, x)
    for bad in x+1000,x-60000,x.astype(np.float32):
        with pytest.raises(ValueError, match='must hold integers in 0..65535'):
            scan_from_pillow(Image.fromarray(bad))

def test_a_profile_tells_the_tones_of_pillow_integers_too(tmp_path):
    icc = imagecodecs.cms_profile('gray', gamma=1.8)
    tifffile.imwrite(tmp_path/'a.tif', gray16, metadata=None, iccprofile=icc)
    im = Image.open(tmp_path/'a.tif')
    for o in im,im.convert('I'):
        assert scan_from_pillow(o).icc==icc
        assert torch.equal(scan_from_pillow(o).L(), read_scan(tmp_path/'a.tif').L())

def test_what_a_pillow_picture_leaves_behind_is_said(tmp_path):
    im,exif = Image.fromarray(rgb8),Image.Exif()
    exif[0x13b] = 'A. Photographer'
    im.save(tmp_path/'a.jpg', exif=exif, dpi=(300,300), comment=b'on the back')
    s = scan_from_pillow(Image.open(tmp_path/'a.jpg'))
    assert s.warnings==['left behind by a PIL image: EXIF, resolution, texts; '
                        "its file's path brings them"]
    im.save(tmp_path/'a.png')
    assert not scan_from_pillow(Image.open(tmp_path/'a.png')).warnings

def test_the_file_of_a_pillow_picture_is_protected(tmp_path):
    Image.fromarray(rgb8).save(tmp_path/'a.png')
    before,s = (tmp_path/'a.png').read_bytes(),scan_from_pillow(Image.open(tmp_path/'a.png'))
    with pytest.raises(ScanError, match='is the original'):
        write_color(tmp_path/'a.png', s, torch.zeros(1,2,4,4), overwrite=True)
    assert (tmp_path/'a.png').read_bytes()==before and s.file is None # its pixels may be others

def test_open_rgb(tmp_path):
    (tmp_path/'a.png').write_bytes(imagecodecs.png_encode(rgb8.astype(np.uint16)*257))
    im = open_rgb(tmp_path/'a.png')
    assert im.mode=='RGB' and np.array_equal(np.asarray(im), rgb8)
    with pytest.raises(ScanError, match='none.png'): open_rgb(tmp_path/'none.png')

@pytest.mark.parametrize('turn, x, y', [(None, 0.1, 0.2), (6, 0.8, 0.1), (9, 0.1, 0.2)])
def test_regions_of_a_pillow_picture_turn_with_it(turn, x, y):
    im = Image.fromarray(rgb8)
    im.info['xmp'] = (
        f'<rdf:RDF xmlns:rdf="{XMP_NAMESPACES["rdf"]}" xmlns:mwg-rs="{XMP_NAMESPACES["mwg-rs"]}" '
        'xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"><rdf:Description><mwg-rs:Regions>'
        '<mwg-rs:Area stArea:x="0.1" stArea:y="0.2"/></mwg-rs:Regions></rdf:Description>'
        '</rdf:RDF>').encode()
    if turn: im.getexif()[274] = turn
    s = scan_from_pillow(im)
    assert f'stArea:x="{x}" stArea:y="{y}"'.encode() in s.xmp and not s.warnings
    assert s.shape==(rgb8.shape[1::-1] if turn==6 else rgb8.shape[:2])

# Damage

def bomb(bits):
    head = png_chunk(b'IHDR', struct.pack('>IIBBBBB', 60000, 60000, bits, 2, 0, 0, 0))
    pixels = png_chunk(b'IDAT', zlib.compress(b'\0'*1000))
    return b'\x89PNG\r\n\x1a\n'+head+pixels+png_chunk(b'IEND', b'')

@pytest.mark.parametrize('kind', [k for k in WRITE if k not in ('g16_be.tif', 'u32.tif')])
@pytest.mark.parametrize('part', [0.03, 0.5, 0.9])
def test_truncated(kind, part, tmp_path):
    WRITE[kind](tmp_path/kind)
    raw = (tmp_path/kind).read_bytes()
    (tmp_path/kind).write_bytes(raw[:int(len(raw)*part)])
    with pytest.raises(ScanError) as e: read_scan(tmp_path/kind)
    assert kind in str(e.value) and '\n' not in str(e.value)

@pytest.mark.parametrize('n', [100, 200, 2000]) # in the header, in the tables, in the pixels
def test_a_jpeg_that_ends_too_early_is_truncated(n, tmp_path):
    WRITE['g8.jpg'](tmp_path/'a.jpg')
    with pytest.raises(ScanError, match='^<bytes>: truncated .OSError'):
        read_scan((tmp_path/'a.jpg').read_bytes()[:n])

def test_a_strip_that_lacks_one_byte_is_truncated(tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', gray16, rowsperstrip=8, photometric='minisblack')
    with tifffile.TiffFile(tmp_path/'a.tif') as f:
        page = f.pages[0]
        strips,end = len(page.dataoffsets),page.dataoffsets[-1]+page.databytecounts[-1]
    raw = (tmp_path/'a.tif').read_bytes()
    (tmp_path/'a.tif').write_bytes(raw[:end])
    assert np.array_equal(read_scan(tmp_path/'a.tif').pixels, gray16)
    (tmp_path/'a.tif').write_bytes(raw[:end-1])
    with pytest.raises(ScanError, match=f'truncated, 1 of {strips} strips'):
        read_scan(tmp_path/'a.tif')

@pytest.mark.parametrize('name, content, why', [
    ('zero.tif', b'', 'empty'), ('text.jpg', b'hello, I am not a photograph', 'not a photograph'),
    ('zip.png', b'PK\3\4'+b'\0'*99, 'not a photograph'),
    ('script.tif', b'%!PS-Adobe-3.0 EPSF-3.0\n', 'not a photograph'),
    ('bomb8.png', bomb(8), '60000×60000 pixels .* limit of 250 megapixels'),
    ('bomb16.png', bomb(16), 'limit'), ('ff.jpg', b'\xff\xd8\xff'+b'\0'*50, 'ff.jpg'),
    ('tiff.tif', b'II*\0\x08\0\0\0', 'tiff.tif')])
def test_not_a_photograph(name, content, why, tmp_path):
    (tmp_path/name).write_bytes(content)
    with pytest.raises(ScanError, match=why) as e: read_scan(tmp_path/name)
    assert name in str(e.value)

@pytest.mark.parametrize('kind', ['g16.tif', 'rgb8.png', 'rgb16.jp2'])
def test_the_limit_is_the_callers(kind, tmp_path):
    WRITE[kind](tmp_path/kind)
    n = gray8.size
    assert read_scan(tmp_path/kind, max_pixels=n).shape==gray8.shape
    with pytest.raises(ScanError, match='max_pixels'): read_scan(tmp_path/kind, max_pixels=n-1)
    assert MAX_PIXELS==250e6

def test_pillows_own_limit_is_neither_used_nor_lost(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
    f = io.BytesIO()
    Image.fromarray(rgb8).save(f, 'PNG')
    assert read_scan(f.getvalue()).shape==gray8.shape
    with pytest.raises(Image.UnidentifiedImageError): open_image(io.BytesIO(b'nothing'))
    assert Image.MAX_IMAGE_PIXELS==10

def test_noise_in_a_png_is_an_error_and_not_a_black_picture(tmp_path):
    Image.fromarray(rgb8).save(tmp_path/'n.png')
    raw = bytearray((tmp_path/'n.png').read_bytes())
    raw[len(raw)//3:len(raw)//3+40] = bytes(40)
    (tmp_path/'n.png').write_bytes(raw)
    with pytest.raises(ScanError): read_scan(tmp_path/'n.png')

@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='pipes of POSIX')
def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path/'p.jpg')
    fd = os.open(tmp_path/'p.jpg', os.O_RDWR) # else the test would wait, too
    try:
        with pytest.raises(ScanError, match=r'p\.jpg: is a pipe or a device, not a photograph$'):
            read_scan(tmp_path/'p.jpg')
    finally: os.close(fd)

def test_missing_folder_unreadable(tmp_path, monkeypatch):
    with pytest.raises(ScanError, match='none.jpg: no such file'): read_scan(tmp_path/'none.jpg')
    with pytest.raises(ScanError, match='is a folder'): read_scan(tmp_path)
    Image.fromarray(gray8).save(tmp_path/'locked.png')
    (tmp_path/'locked.png').chmod(0)
    if os.geteuid(): # root may read anything
        with pytest.raises(ScanError, match='permission'): read_scan(tmp_path/'locked.png')

@pytest.mark.parametrize('error, why', [
    (MemoryError(), "too large for this computer's memory"), (PermissionError(), 'may not be read'),
    (OSError('image file is truncated'), 'truncated .OSError'),
    (KeyError('x'), "damaged or not supported .KeyError: 'x'")])
def test_every_error_names_the_file(error, why, monkeypatch, tmp_path):
    def fail(*args): raise error
    monkeypatch.setattr('colorized.photo.reading.read_metadata', fail)
    Image.fromarray(gray8).save(tmp_path/'a.png')
    with pytest.raises(ScanError, match=f'a.png: {why}'): read_scan(tmp_path/'a.png')
    with pytest.raises(ScanError, match=f'^<bytes>: {why}'):
        read_scan((tmp_path/'a.png').read_bytes())

def test_not_finite_pixels_are_counted(tmp_path):
    for v in np.nan,np.inf:
        x = np.zeros((8,8,3), np.float32)
        x[3,4] = v
        tifffile.imwrite(tmp_path/'nan.tif', x, photometric='rgb')
        with pytest.raises(ScanError, match='3 pixel values that are not finite'):
            read_scan(tmp_path/'nan.tif')

# Silence

def test_readers_in_threads_leave_warnings_as_they_were():
    "The first in makes silence, the last out ends it, whatever their order"
    log = logging.getLogger('tifffile')
    before,inside,leave = list(warnings.filters),threading.Event(),threading.Event()
    def other():
        with reading._SILENCE:
            inside.set()
            leave.wait(10)
    with reading._SILENCE:
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(10) and log.disabled
    assert log.disabled # the other is still inside
    with warnings.catch_warnings(record=True) as said: warnings.warn('nobody hears')
    assert not said
    leave.set()
    thread.join()
    assert list(warnings.filters)==before and not log.disabled
