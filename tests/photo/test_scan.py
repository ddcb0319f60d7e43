"Scans of every kind, in and out; metadata judged by ExifTool, colour by float64 NumPy, damage by what is left on disk"
import io, json, os, re, shutil, struct, subprocess, sys, textwrap, zlib
from pathlib import Path
import imagecodecs, numpy as np, pillow_heif, pytest, tifffile, torch
from PIL import Image, ImageCms
from skimage import color, data
from colorized.photo.lab import down_chroma
from colorized.photo.scan import Scan, ScanError, Provenance, read_scan, write_scan, write_colour, paint, merge_xmp, output_format

torch.set_num_threads(1)
pillow_heif.register_heif_opener() # to write HEIC with; read_scan has a decoder of its own
IPTC = 'http://cv.iptc.org/newscodes/digitalsourcetype/'
rgb8 = np.ascontiguousarray(data.coffee()[100:180,200:311])
rng = np.random.default_rng(0)
rgb16 = rgb8.astype(np.uint16)*256+rng.integers(0, 256, rgb8.shape, dtype=np.uint16)
gray8,gray16 = rgb8[...,1].copy(),rgb16[...,1].copy()
ab = 25*torch.randn(1, 2, 8, 12, generator=torch.Generator().manual_seed(0))

def exiftool(*args):
    assert shutil.which('exiftool'), "exiftool is needed: apt-get install libimage-exiftool-perl"
    return subprocess.run(['exiftool', *map(str, args)], capture_output=True, check=True, text=True).stdout
def tags(path): return json.loads(exiftool('-j', '-G1', '-a', path))[0]
def L_of(rgb, top): return color.rgb2lab(rgb.astype(float)/top)[...,0]
def close(scan, L, eps): return np.abs(scan.L()[0,0].numpy()-L).max()<eps

# Reading: depth, kind and value of every sort of file

def save(kind, path):
    pil = lambda im, **kw: im.save(path, **kw)
    tif = lambda x, **kw: tifffile.imwrite(path, x, **kw)
    {'g8.tif':lambda: pil(Image.fromarray(gray8)), 'g16.tif':lambda: tif(gray16, photometric='minisblack'), 'g16_lzw.tif':lambda: tif(gray16, compression='lzw', predictor=True),
     'g16_be.tif':lambda: tif(gray16, byteorder='>'), 'g16_white.tif':lambda: tif(65535-gray16, photometric='miniswhite'), 'g8_white.tif':lambda: tif(255-gray8, photometric='miniswhite'),
     'rgb16.tif':lambda: tif(rgb16, photometric='rgb'), 'rgb16_deflate.tif':lambda: tif(rgb16, photometric='rgb', compression='adobe_deflate', predictor=True),
     'rgb16_tiles.tif':lambda: tif(rgb16, photometric='rgb', tile=(64,64), compression='lzw'), 'rgb16_planes.tif':lambda: tif(rgb16.transpose(2,0,1), photometric='rgb', planarconfig='separate'),
     'rgb8_zstd.tif':lambda: tif(rgb8, photometric='rgb', compression='zstd'), 'rgb8_tiles.tif':lambda: tif(rgb8, photometric='rgb', tile=(32,32), compression='adobe_deflate'),
     'rgb16_big.tif':lambda: tif(rgb16, photometric='rgb', bigtiff=True), 'f32.tif':lambda: tif((rgb16/65535).astype(np.float32), photometric='rgb'),
     'f32_gray.tif':lambda: tif((gray16/65535).astype(np.float32)), 'u32.tif':lambda: tif(gray16.astype(np.uint32)*65537),
     'g8.png':lambda: pil(Image.fromarray(gray8)), 'g16.png':lambda: pil(Image.fromarray(gray16)), 'rgb8.png':lambda: pil(Image.fromarray(rgb8)),
     'rgb16.png':lambda: Path(path).write_bytes(imagecodecs.png_encode(rgb16)), 'rgb8.bmp':lambda: pil(Image.fromarray(rgb8)), 'rgb8.webp':lambda: pil(Image.fromarray(rgb8), lossless=True),
     'g8.jpg':lambda: pil(Image.fromarray(gray8), quality=100), 'rgb8.jpg':lambda: pil(Image.fromarray(rgb8), quality=100, subsampling=0),
     'rgb8.jp2':lambda: pil(Image.fromarray(rgb8)), 'rgb16.jp2':lambda: Path(path).write_bytes(imagecodecs.jpeg2k_encode(rgb16, level=0, codecformat='jp2'))}[kind]()
KINDS = '''g8.tif g16.tif g16_lzw.tif g16_be.tif g16_white.tif g8_white.tif rgb16.tif rgb16_deflate.tif rgb16_tiles.tif rgb16_planes.tif rgb8_zstd.tif rgb8_tiles.tif
           rgb16_big.tif f32.tif f32_gray.tif u32.tif g8.png g16.png rgb8.png rgb16.png rgb8.bmp rgb8.webp g8.jpg rgb8.jpg rgb8.jp2 rgb16.jp2'''.split()

@pytest.mark.parametrize('kind', KINDS)
def test_reads(kind, tmp_path):
    save(kind, tmp_path/kind)
    s,deep = read_scan(tmp_path/kind),'8' not in kind.split('.')[0].split('_')[0]
    assert s.bits==(16 if deep else 8) and s.shape==gray8.shape and s.alpha is None and not s.warnings
    want = {(False,True):rgb16, (False,False):rgb8, (True,True):gray16, (True,False):gray8}[s.pixels.ndim==2, deep]
    off = np.abs(s.pixels.astype(int)-want).max()
    assert off<=(6 if kind.endswith('jpg') else 0)
    assert close(s, L_of(want if want.ndim==3 else np.stack([want]*3, -1), 65535 if deep else 255), 1.5 if kind.endswith('jpg') else 2e-3)
    assert read_scan((tmp_path/kind).read_bytes()).pixels.shape==s.pixels.shape

def heic(x, mode, **kwargs):
    "The bytes of a HEIC file, as good as x265 can make it"
    out = io.BytesIO()
    pillow_heif.from_bytes(mode, x.shape[1::-1], x.tobytes()).save(out, quality=-1, chroma=444, **kwargs)
    return out.getvalue()

@pytest.mark.parametrize('what,x,bits,eps', [
    ('heic', rgb8, 8, 1), ('heic', gray8, 8, 0), ('heic', rgb16, 10, 128), ('heic', gray16, 10, 64),
    ('avif', rgb8, 8, 0), ('avif', rgb16, 10, 64), ('avif', rgb16, 12, 16), ('avif', gray16, 10, 64)])
def test_reads_what_telephones_and_browsers_make(what, x, bits, eps):
    "A step of 10 bits is 64 of 65,535, of 12 bits 16; the colour transform of x265 costs one more"
    mode = ('RGB' if x.ndim==3 else 'L')+(';16' if bits>8 else '')
    s = read_scan(heic(x, mode) if what=='heic' else imagecodecs.avif_encode(x if bits==8 else x>>16-bits, level=100, bitspersample=bits))
    assert s.pixels.dtype==x.dtype and s.shape==x.shape[:2] and not s.warnings and s.alpha is None
    assert np.abs(s.pixels.astype(int)-x).max()<=eps
    assert np.ptp(s.pixels)>0.9*np.ptp(x) and s.pixels.max()>=x.max()-eps # white stays white

def test_telephones_turn_their_photographs_in_the_container(tmp_path):
    exif = Image.Exif(); exif[274],exif[270] = 6,'Grandmother'
    upright = np.rot90(rgb8, -1)
    for format in 'HEIF','AVIF':
        out = tmp_path/f'a.{format.lower()}'
        Image.fromarray(rgb8).save(out, format, quality=100, exif=exif.tobytes())
        assert b'irot' in out.read_bytes()
        s = read_scan(out)
        assert s.shape==upright.shape[:2] and np.abs(s.pixels.astype(int)-upright).mean()<3
        write_colour(tmp_path/'out.png', s, ab, overwrite=True)
        t = tags(tmp_path/'out.png')
        assert (t['IFD0:Orientation'], t['IFD0:ImageDescription'])==('Horizontal (normal)', 'Grandmother')

def test_of_several_pictures_the_main_one_is_read():
    several,out = pillow_heif.from_bytes('L', gray8.shape[::-1], (255-gray8).tobytes()),io.BytesIO()
    several.add_frombytes('L', gray8.shape[::-1], gray8.tobytes())
    several.save(out, quality=-1, primary_index=1)
    s = read_scan(out.getvalue())
    assert np.abs(s.pixels.astype(int)-gray8).max()<=1 and s.warnings==['only the main of 2 pages was read']

def test_palette_and_bilevel_and_gray_in_colour_clothes(tmp_path):
    im = Image.fromarray(rgb8)
    im.quantize(32).save(tmp_path/'p.png'); im.quantize(32).save(tmp_path/'p.tif'); im.quantize(32).save(tmp_path/'p.gif')
    for f in 'p.png','p.tif','p.gif': assert np.array_equal(read_scan(tmp_path/f).pixels, np.asarray(im.quantize(32).convert('RGB')))
    bw = im.convert('1')
    bw.save(tmp_path/'b.png'); bw.save(tmp_path/'b.tif', compression='group4'); bw.save(tmp_path/'b.bmp')
    for f in 'b.png','b.tif','b.bmp': assert np.array_equal(read_scan(tmp_path/f).pixels, np.asarray(bw.convert('L')))
    Image.fromarray(np.stack([gray8]*3, -1)).save(tmp_path/'g.png')
    assert np.array_equal(read_scan(tmp_path/'g.png').pixels, gray8)

def test_cmyk(tmp_path):
    im = Image.fromarray(rgb8).convert('CMYK')
    im.save(tmp_path/'c.tif'); im.save(tmp_path/'c.jpg', quality=100)
    for f in 'c.tif','c.jpg':
        s = read_scan(tmp_path/f)
        assert 'CMYK' in s.warnings[0] and close(s, L_of(np.asarray(im.convert('RGB')), 255), 2.5)
    im.save(tmp_path/'bad.jpg', quality=100, icc_profile=bytes(16)+b'CMYK'+bytes(200)) # a damaged profile
    s = read_scan(tmp_path/'bad.jpg')
    assert 'damaged' in s.warnings[0] and close(s, L_of(np.asarray(im.convert('RGB')), 255), 2.5)
    tifffile.imwrite(tmp_path/'c16.tif', np.asarray(im).astype(np.uint16)*257, photometric='separated')
    assert read_scan(tmp_path/'c16.tif').bits==16 and close(read_scan(tmp_path/'c16.tif'), L_of(np.asarray(im.convert('RGB')), 255), 0.6)

@pytest.mark.parametrize('x', [rgb8, rgb16, gray8, gray16], ids='rgb8 rgb16 gray8 gray16'.split())
@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_alpha_comes_and_goes(x, suffix, tmp_path):
    a = rng.integers(0, 256, gray8.shape).astype(x.dtype)*(257 if x.dtype==np.uint16 else 1)
    xa = np.dstack([x, a])
    if suffix=='.png': (tmp_path/'a.png').write_bytes(imagecodecs.png_encode(xa))
    else: tifffile.imwrite(tmp_path/'a.tif', xa, photometric='rgb' if x.ndim==3 else 'minisblack', planarconfig='contig', extrasamples=['unassalpha'])
    s = read_scan(tmp_path/f'a{suffix}')
    assert np.array_equal(s.pixels, x) and np.array_equal(s.alpha, a)
    for out in '.png','.tif','.webp':
        write_colour(tmp_path/f'out{out}', s, ab)
        back = read_scan(tmp_path/f'out{out}')
        assert np.array_equal(back.alpha>>(8 if back.bits==16 else 0), a>>(8 if s.bits==16 else 0))
    assert 'transparency' in write_colour(tmp_path/'out.jpg', s, ab)[0]

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif', '.webp', '16.tif', '16.png'])
@pytest.mark.parametrize('turn', range(1, 9))
def test_orientation(turn, suffix, tmp_path):
    stored = {1:rgb8, 2:rgb8[:,::-1], 3:rgb8[::-1,::-1], 4:rgb8[::-1], 5:rgb8.swapaxes(0,1), 6:rgb8.swapaxes(0,1)[::-1], 7:rgb8[::-1,::-1].swapaxes(0,1),
              8:rgb8.swapaxes(0,1)[:,::-1]}[turn]
    f = tmp_path/f'o{suffix}'
    if suffix=='16.tif': tifffile.imwrite(f, np.ascontiguousarray(stored).astype(np.uint16)*257, photometric='rgb')
    elif suffix=='16.png': f.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(stored).astype(np.uint16)*257))
    else: Image.fromarray(np.ascontiguousarray(stored)).save(f, **(dict(quality=100, subsampling=0) if suffix=='.jpg' else dict(lossless=True) if suffix=='.webp' else {}))
    exiftool('-q', '-overwrite_original', f'-IFD0:Orientation#={turn}', '-IFD0:Make=Linhof', f)
    s = read_scan(f)
    assert s.shape==gray8.shape
    assert np.abs((s.pixels>>(8 if s.bits==16 else 0)).astype(int)-rgb8).max()<=(4 if suffix=='.jpg' else 0)
    write_colour(tmp_path/'out.png', s, ab)
    assert tags(tmp_path/'out.png')['IFD0:Orientation']=='Horizontal (normal)'

def test_first_page_and_a_warning(tmp_path):
    tifffile.imwrite(tmp_path/'m.tif', np.stack([gray16, 65535-gray16, gray16]), photometric='minisblack', metadata=None)
    s = read_scan(tmp_path/'m.tif')
    assert np.array_equal(s.pixels, gray16) and '3 pages' in s.warnings[0]

def test_a_preview_is_not_taken_for_the_photograph(tmp_path):
    "Camera raw files begin with one, the picture follows in a directory below or behind"
    with tifffile.TiffWriter(tmp_path/'raw.dng') as f: f.write(gray8[:8,:8], subfiletype=1, subifds=1, metadata=None); f.write(gray8, metadata=None)
    with tifffile.TiffWriter(tmp_path/'first.tif') as f: f.write(gray8[:8,:8], subfiletype=1, metadata=None); f.write(gray8, metadata=None)
    for o in 'raw.dng','first.tif':
        with pytest.raises(ScanError, match=f'{o}.*preview'): read_scan(tmp_path/o)
    with tifffile.TiffWriter(tmp_path/'last.tif') as f: f.write(gray8, metadata=None); f.write(gray8[:8,:8], subfiletype=1, metadata=None)
    assert np.array_equal(read_scan(tmp_path/'last.tif').pixels, gray8)

# Colour management, against arithmetic

def test_gray_gamma_profile_is_honoured_at_full_depth(tmp_path):
    "down to the shadows, where Little CMS's integer shortcuts are off by 350 levels"
    icc,x = imagecodecs.cms_profile('gray', gamma=1.8),gray16//4
    tifffile.imwrite(tmp_path/'g.tif', x, iccprofile=icc)
    s = read_scan(tmp_path/'g.tif')
    Y = (x/65535)**1.8
    L = np.where(Y>0.008856, 116*np.cbrt(Y)-16, 116*7.787*Y)
    assert close(s, L, 0.01) and not close(s, L_of(np.stack([x]*3, -1), 65535), 1)
    write_colour(tmp_path/'out.tif', s, ab)
    assert close(read_scan(tmp_path/'out.tif'), L, 0.02)

@pytest.mark.parametrize('bits', [8, 16])
def test_adobe_rgb_is_converted(bits, tmp_path):
    icc = imagecodecs.cms_profile('adobergb')
    x = (rgb8//2+64) if bits==8 else (rgb16//2+16384)          # muted: inside sRGB
    tifffile.imwrite(tmp_path/'a.tif', x, photometric='rgb', iccprofile=icc)
    lin = (x/(2**bits-1.))**2.19921875
    Y = lin@[0.29734, 0.62736, 0.07529]
    s = read_scan(tmp_path/'a.tif')
    assert s.icc and close(s, 116*np.cbrt(Y)-16, 0.1)

def test_srgb_profiles_change_nothing_and_foreign_ones_are_reported(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    for i,(icc,said) in enumerate([(srgb, False), (b'not a profile'*20, True), (srgb[:16]+b'CMYK'+srgb[20:], True), (srgb[:300], True)]):
        Image.fromarray(rgb8).save(tmp_path/f'{i}.png', icc_profile=icc)
        s = read_scan(tmp_path/f'{i}.png')
        assert s.icc is None and bool(s.warnings)==said and close(s, L_of(rgb8, 255), 1e-3)

def test_output_is_tagged_srgb_and_the_same_every_time(tmp_path):
    for suffix in '.tif','.png','.jpg','.webp':
        for n in 'a','b': write_colour(tmp_path/f'{n}{suffix}', Scan(gray8), ab, Provenance(seed=1))
        assert (tmp_path/f'a{suffix}').read_bytes()==(tmp_path/f'b{suffix}').read_bytes()
        assert 'sRGB' in tags(tmp_path/f'a{suffix}')['ICC_Profile:ProfileDescription']
        Image.open(tmp_path/f'a{suffix}').load()

# Luminance

@pytest.mark.parametrize('x', [gray8, gray16, rgb8, rgb16], ids='gray8 gray16 rgb8 rgb16'.split())
@pytest.mark.parametrize('suffix', ['.tif', '.png'])
def test_luminance_is_untouched(x, suffix, tmp_path):
    s = Scan(x)
    write_colour(tmp_path/f'out{suffix}', s, 3*ab)
    out = read_scan(tmp_path/f'out{suffix}')
    assert out.bits==s.bits and out.shape==s.shape
    off = np.abs(L_of(out.pixels, 2**s.bits-1)-s.L()[0,0].numpy())
    assert np.quantile(off, 0.999)<(0.25 if s.bits==8 else 0.002)
    if x.ndim==2: # the gray original can be computed back
        gray = np.interp(out.L()[0,0].numpy(), s._table, np.arange(2**s.bits)).round()
        assert np.abs(gray-x).max()<=(0 if s.bits==8 else 1)

def test_strips_agree_with_the_whole_and_with_any_strip_size():
    s = Scan(rgb16)
    whole = np.concatenate(list(paint(s, ab)))
    strips = np.concatenate(list(paint(s, ab, strip=1500)))
    assert np.abs(whole.astype(int)-strips).max()<=2
    assert torch.allclose(s.thumbnail_L(32), down_chroma(s.L(), s.thumbnail_L(32).shape[-2:]), atol=1e-3)
    assert len(np.concatenate(list(paint(Scan(gray8[:3,:5]), ab))))==3

def test_sepia_is_measured_and_dropped():
    sepia = (gray8[...,None]*[1, 0.85, 0.65]).astype(np.uint8)
    t = Scan(sepia).tone
    assert t.is_toned and 60<t.hue<95 and t.chroma>8
    assert Scan(gray8).tone.kind=='neutral' and Scan(rgb8).tone.kind=='colour'
    assert not np.ptp(np.concatenate(list(paint(Scan(sepia), 0*ab))), 2).any()

# Metadata, written by ExifTool and read by ExifTool

RICH = ['-IFD0:Make=Linhof', '-IFD0:Model=Technika é', '-IFD0:Artist=Änne Müller', '-IFD0:Copyright=(c) Archive', '-IFD0:ImageDescription=Harbour', '-IFD0:Software=ScanSuite 3',
    '-ExifIFD:DateTimeOriginal=1912:05:06 07:08:09', '-ExifIFD:ExposureTime=1/125', '-ExifIFD:FNumber=5.6', '-ExifIFD:LensModel=Apo 90', '-ExifIFD:UserComment=scan 12',
    '-GPS:GPSLatitude=53.1', '-GPS:GPSLatitudeRef=N', '-GPS:GPSLongitude=8.8', '-GPS:GPSLongitudeRef=E', '-IFD0:Orientation#=6', '-ExifIFD:ColorSpace#=65535',
    '-XMP-dc:Title=Hafen & Möwen', '-XMP-dc:Subject=harbour', '-XMP-dc:Subject=gulls', '-XMP-dc:Rights=CC0', '-XMP-xmp:CreatorTool=ScanSuite', '-XMP-tiff:Orientation#=6',
    f'-XMP-iptcExt:DigitalSourceType={IPTC}negativeFilm', '-XMP-photoshop:City=Bremen', '-XMP-xmpMM:HistoryAction=scanned',
    '-IPTC:Headline=Gulls', '-IPTC:Keywords=harbour', '-IPTC:Keywords=gulls', '-IPTC:By-line=Müller', '-IPTC:CodedCharacterSet=UTF8']
CHANGED = {'IFD0:Orientation', 'XMP-tiff:Orientation', 'ExifIFD:ColorSpace', 'XMP-iptcExt:DigitalSourceType'}
STORAGE = {f'IFD0:{k}' for k in '''ImageWidth ImageHeight BitsPerSample Compression PhotometricInterpretation StripOffsets SamplesPerPixel RowsPerStrip StripByteCounts
    PlanarConfiguration Predictor YCbCrPositioning XResolution YResolution ResolutionUnit SampleFormat'''.split()}

@pytest.fixture(scope='module')
def rich(tmp_path_factory):
    d = tmp_path_factory.mktemp('rich')
    Image.fromarray(rgb8).save(d/'a.jpg'); Image.fromarray(rgb8).save(d/'a.webp'); Image.fromarray(rgb8).save(d/'a.jp2'); Image.fromarray(rgb8).save(d/'a.avif'); (d/'a.heic').write_bytes(heic(rgb8, 'RGB'))
    tifffile.imwrite(d/'a.tif', rgb16, photometric='rgb', metadata=None, software=False)
    (d/'a.png').write_bytes(imagecodecs.png_encode(rgb16))
    for f in d.iterdir(): exiftool('-q', '-m', '-overwrite_original', *RICH, f)
    return d

@pytest.mark.parametrize('src', ['jpg', 'tif', 'png', 'webp', 'jp2', 'heic', 'avif'])
@pytest.mark.parametrize('dst', ['jpg', 'tif', 'png', 'webp'])
def test_papers_are_carried_over(src, dst, rich, tmp_path):
    before,s = tags(rich/f'a.{src}'),read_scan(rich/f'a.{src}')
    remarks = write_colour(tmp_path/f'out.{dst}', s, ab, Provenance('base', 'ab'*32, 7, 16, {'guidance':1.5}))
    after = tags(tmp_path/f'out.{dst}')
    kept = {k for k in before if k.split(':')[0] in ('IFD0', 'ExifIFD', 'GPS', 'IPTC') or k.startswith('XMP-')} - CHANGED - STORAGE
    assert len(kept)>=(18 if src in ('webp', 'heic', 'avif') else 22)
    lost = {k for k in kept if before[k]!=after.get(k)}
    if dst=='webp':
        assert remarks==(['WebP has no place for IPTC-IIM'] if s.iptc else [])
        lost = {k for k in lost if not k.startswith('IPTC:')}
    else: assert not remarks
    assert not lost
    assert not [k for k in after if 'Warning' in k or 'Error' in k]
    assert after['IFD0:Orientation']==after['XMP-tiff:Orientation']=='Horizontal (normal)' and after['ExifIFD:ColorSpace']=='sRGB'
    assert after['XMP-iptcExt:DigitalSourceType']==IPTC+'compositeWithTrainedAlgorithmicMedia'
    assert (after['XMP-colorized:Model'], after['XMP-colorized:Seed'], after['XMP-colorized:Steps'])==('base', 7, 16)
    assert after['XMP-colorized:ModelSHA256']=='ab'*32 and json.loads(after['XMP-colorized:Settings'])=={'guidance':1.5}
    assert after['XMP-colorized:Software'].startswith('colorized ')

def test_stale_thumbnail_is_dropped(tmp_path):
    Image.fromarray(rgb8).save(tmp_path/'a.jpg'); Image.fromarray(rgb8).resize((32,24)).save(tmp_path/'thumb.jpg')
    exiftool('-q', '-overwrite_original', '-IFD0:Make=Linhof', f'-ThumbnailImage<={tmp_path/"thumb.jpg"}', tmp_path/'a.jpg')
    assert 'IFD1:ThumbnailLength' in tags(tmp_path/'a.jpg')
    for suffix in '.jpg','.tif','.png','.webp':
        write_colour(tmp_path/f'out{suffix}', read_scan(tmp_path/'a.jpg'), ab)
        assert not [k for k in tags(tmp_path/f'out{suffix}') if 'Thumbnail' in k]

def test_resolution_turns_with_the_photograph(tmp_path):
    exif = Image.Exif(); exif[274] = 6
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', dpi=(300,600), exif=exif)
    s = read_scan(tmp_path/'a.jpg')
    assert s.dpi==(600,300)
    for suffix in '.jpg','.tif','.png','.webp':
        write_colour(tmp_path/f'out{suffix}', s, ab)
        t = tags(tmp_path/f'out{suffix}')
        assert (round(t['IFD0:XResolution']), round(t['IFD0:YResolution']))==(600,300)
        if suffix!='.webp': assert tuple(map(round, read_scan(tmp_path/f'out{suffix}').dpi))==(600,300)

def test_resolution_is_kept_where_it_stands_and_never_invented(tmp_path):
    for suffix in 'png','webp','jp2','heic':
        (tmp_path/'a.heic').write_bytes(heic(rgb8, 'RGB')) if suffix=='heic' else Image.fromarray(rgb8).save(tmp_path/f'a.{suffix}')
        exiftool('-q', '-overwrite_original', '-IFD0:XResolution=600', '-IFD0:YResolution=600', '-IFD0:ResolutionUnit#=2', tmp_path/f'a.{suffix}')
        write_colour(tmp_path/'out.tif', read_scan(tmp_path/f'a.{suffix}'), ab, overwrite=True)
        t = tags(tmp_path/'out.tif')
        assert (t['IFD0:XResolution'], t['IFD0:YResolution'], t['IFD0:ResolutionUnit'])==(600, 600, 'inches'), suffix
    exif = Image.Exif(); exif[270] = 'without a resolution' # Pillow says 72 of such
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', exif=exif)
    assert Image.open(tmp_path/'a.jpg').info['dpi']==(72, 72) and read_scan(tmp_path/'a.jpg').dpi is None

def test_papers_do_not_speak_of_the_file_of_the_original(tmp_path):
    "Photoshop's XMP of a 16-bit gray TIFF, beside an 8-bit JPEG in sRGB"
    tifffile.imwrite(tmp_path/'a.tif', gray16, metadata=None)
    exiftool('-q', '-overwrite_original', '-XMP-dc:Format=image/tiff', '-XMP-photoshop:ColorMode=1', '-XMP-photoshop:ICCProfileName=Dot Gain 20%', '-XMP-tiff:BitsPerSample=16', '-XMP-tiff:SamplesPerPixel=1',
        '-XMP-tiff:PhotometricInterpretation=1', '-XMP-tiff:Compression=1', '-XMP-xmpMM:InstanceID=xmp.iid:1', '-XMP-xmpMM:DocumentID=xmp.did:1', '-XMP-photoshop:City=Bremen', tmp_path/'a.tif')
    before = {k for k in tags(tmp_path/'a.tif') if k.startswith('XMP-')}
    write_colour(tmp_path/'out.jpg', read_scan(tmp_path/'a.tif'), ab)
    after = tags(tmp_path/'out.jpg')
    assert len(before)>=9 and before & after.keys()=={'XMP-photoshop:City', 'XMP-xmpMM:DocumentID', 'XMP-x:XMPToolkit'} & before

def test_half_precision(tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', (gray8/255).astype(np.float16))
    assert np.abs(read_scan(tmp_path/'a.tif').pixels/257-gray8).max()<0.2

def test_gamma_of_a_png():
    "By definition: light is the value to the power of 1/gAMA. Where sRGB is stated, or what stands for it, gAMA says nothing new"
    chunk = lambda kind, data: struct.pack('>I', len(data))+kind+data+struct.pack('>I', zlib.crc32(kind+data))
    def png(x, gamma, more=b''): data = imagecodecs.png_encode(x); return data[:33]+more+chunk(b'gAMA', struct.pack('>I', gamma))+data[33:]
    for x in gray8,gray16:
        light = (x/(255 if x.dtype==np.uint8 else 65535))**1.8
        want = np.where(light>216/24389, 116*np.cbrt(light)-16, light*24389/27)
        assert close(read_scan(png(x, 55556)), want, 5e-3)
    assert read_scan(png(rgb8, 55556)).icc is not None
    for other in png(gray8, 45455),png(gray8, 55556, chunk(b'sRGB', b'\0')): assert read_scan(other).icc is None

def test_what_finds_no_place_is_reported(tmp_path):
    "Texts of PNG and comments of JPEG, written by ExifTool, and the second EXIF directory of a BigTIFF"
    Image.fromarray(gray8).save(tmp_path/'a.png'); Image.fromarray(gray8).save(tmp_path/'a.jpg'); Image.fromarray(gray8).save(tmp_path/'plain.png')
    exiftool('-q', '-overwrite_original', '-PNG:Description=Easter', '-PNG:Copyright=Anna', tmp_path/'a.png')
    exiftool('-q', '-overwrite_original', '-Comment=Easter 1931', tmp_path/'a.jpg')
    assert re.search('Description.*Copyright|Copyright.*Description', read_scan(tmp_path/'a.png').warnings[0]) and 'comment' in read_scan(tmp_path/'a.jpg').warnings[0]
    assert not read_scan(tmp_path/'plain.png').warnings
    tifffile.imwrite(tmp_path/'big.tif', gray8, bigtiff=True, metadata=None, byteorder='<', extratags=[(65000, 16, 1, 16, True)]) # no program here writes one: a directory that is the first again
    (tmp_path/'big.tif').write_bytes((tmp_path/'big.tif').read_bytes().replace(struct.pack('<HHQ', 65000, 16, 1), struct.pack('<HHQ', 34665, 16, 1)))
    assert any('BigTIFF' in o for o in read_scan(tmp_path/'big.tif').warnings)

def test_resolution_without_a_unit_is_none(tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', gray8, resolution=(300, 300), resolutionunit='none', metadata=None)
    tifffile.imwrite(tmp_path/'b.tif', gray8, resolution=(300, 300), resolutionunit='inch', metadata=None)
    assert read_scan(tmp_path/'a.tif').dpi is None and read_scan(tmp_path/'b.tif').dpi==(300, 300)

def test_long_xmp(tmp_path):
    Image.fromarray(rgb8).save(tmp_path/'a.jpg')
    (tmp_path/'long.txt').write_text('x'*80000)
    exiftool('-q', '-overwrite_original', f'-XMP-dc:Description<={tmp_path/"long.txt"}', '-XMP-dc:Title=Long', tmp_path/'a.jpg')
    s = read_scan(tmp_path/'a.jpg')
    assert not write_colour(tmp_path/'out.png', s, ab)
    assert len(tags(tmp_path/'out.png')['XMP-dc:Description'])==80000
    assert 'too large' in write_colour(tmp_path/'out.jpg', s, ab)[0]
    assert 'XMP-iptcExt:DigitalSourceType' in tags(tmp_path/'out.jpg')

@pytest.mark.parametrize('term, uri', [('digitalCapture', IPTC+'digitalCapture'), ('https://example.org/own', 'https://example.org/own')])
def test_source_type_is_configurable(term, uri, tmp_path):
    write_colour(tmp_path/'a.png', Scan(gray8), ab, Provenance(source_type=term))
    assert tags(tmp_path/'a.png')['XMP-iptcExt:DigitalSourceType']==uri

def test_colouring_again_leaves_one_note(tmp_path):
    write_colour(tmp_path/'a.png', Scan(gray8), ab, Provenance(model='old', seed=1, steps=4))
    write_colour(tmp_path/'b.png', read_scan(tmp_path/'a.png'), ab, Provenance(model='new', seed=2))
    t = tags(tmp_path/'b.png')
    assert (t['XMP-colorized:Model'], t['XMP-colorized:Seed'])==('new', 2) and 'XMP-colorized:Steps' not in t

HOSTILE = [b'<!DOCTYPE a [<!ENTITY b "c">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>', b'<x:xmpmeta', b'\xff\xfe\x00', b'', b'\0'*100, b'<a/>',
           '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'.encode('utf-16')]
@pytest.mark.parametrize('xmp', HOSTILE)
def test_hostile_xmp_is_replaced_with_a_remark(xmp):
    new,remarks = merge_xmp(xmp, Provenance())
    assert b'compositeWithTrained' in new and b'passwd' not in new and len(remarks)==(1 if xmp else 0)

def test_hostile_exif_does_not_stop_a_photograph(tmp_path):
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x03'+b'\xff'*60
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', exif=exif)
    s = read_scan(tmp_path/'a.jpg')
    write_colour(tmp_path/'out.tif', s, ab)

# Damage

def chunk(k, d): return struct.pack('>I', len(d))+k+d+struct.pack('>I', zlib.crc32(k+d))
def bomb(bits): return b'\x89PNG\r\n\x1a\n'+chunk(b'IHDR', struct.pack('>IIBBBBB', 60000, 60000, bits, 2, 0, 0, 0))+chunk(b'IDAT', zlib.compress(b'\0'*1000))+chunk(b'IEND', b'')

@pytest.mark.parametrize('kind', [k for k in KINDS if k not in ('g16_be.tif', 'u32.tif')])
@pytest.mark.parametrize('part', [0.03, 0.5, 0.9])
def test_truncated(kind, part, tmp_path):
    save(kind, tmp_path/kind)
    raw = (tmp_path/kind).read_bytes()
    (tmp_path/kind).write_bytes(raw[:int(len(raw)*part)])
    with pytest.raises(ScanError) as e: read_scan(tmp_path/kind)
    assert kind in str(e.value) and '\n' not in str(e.value)

@pytest.mark.parametrize('name, content, why', [('zero.tif', b'', 'empty'), ('text.jpg', b'hello, I am not a photograph', 'not a photograph'), ('zip.png', b'PK\3\4'+b'\0'*99, 'not a photograph'),
    ('script.tif', b'%!PS-Adobe-3.0 EPSF-3.0\n', 'not a photograph'), ('bomb8.png', bomb(8), 'limit'), ('bomb16.png', bomb(16), 'limit'), ('ff.jpg', b'\xff\xd8\xff'+b'\0'*50, 'ff.jpg'),
    ('tiff.tif', b'II*\0\x08\0\0\0', 'tiff.tif')])
def test_not_a_photograph(name, content, why, tmp_path):
    (tmp_path/name).write_bytes(content)
    with pytest.raises(ScanError, match=why) as e: read_scan(tmp_path/name)
    assert name in str(e.value)

def test_noise_in_a_png_is_an_error_and_not_a_black_picture(tmp_path):
    Image.fromarray(rgb8).save(tmp_path/'n.png')
    raw = bytearray((tmp_path/'n.png').read_bytes())
    raw[len(raw)//3:len(raw)//3+40] = bytes(40)
    (tmp_path/'n.png').write_bytes(raw)
    with pytest.raises(ScanError): read_scan(tmp_path/'n.png')

def test_missing_folder_unreadable_nan(tmp_path, monkeypatch):
    with pytest.raises(ScanError, match='no such file'): read_scan(tmp_path/'none.jpg')
    with pytest.raises(ScanError, match='folder'): read_scan(tmp_path)
    Image.fromarray(gray8).save(tmp_path/'locked.png'); (tmp_path/'locked.png').chmod(0)
    if os.geteuid(): # root may read anything
        with pytest.raises(ScanError, match='permission'): read_scan(tmp_path/'locked.png')
    for v in np.nan,np.inf:
        x = np.zeros((8,8,3), np.float32); x[3,4] = v
        tifffile.imwrite(tmp_path/'nan.tif', x, photometric='rgb')
        with pytest.raises(ScanError, match='3 pixel values that are not finite'): read_scan(tmp_path/'nan.tif')
    tifffile.imwrite(tmp_path/'huge.tif', np.full((8,8), 1e20, np.float32))
    with pytest.raises(ScanError, match='no agreed white'): read_scan(tmp_path/'huge.tif')

# Writing, or not

def test_nothing_is_left_behind_and_nothing_is_overwritten(tmp_path, monkeypatch):
    src = tmp_path/'original.png'
    Image.fromarray(gray8).save(src)
    before,s = src.read_bytes(),read_scan(src)
    with pytest.raises(ScanError, match='original'): write_colour(src, s, ab, overwrite=True)
    link = tmp_path/'link.png'; link.symlink_to(src)
    with pytest.raises(ScanError, match='original'): write_colour(link, s, ab, overwrite=True)
    link.unlink()
    with pytest.raises(ScanError, match='does not exist'): write_colour(tmp_path/'no'/'a.png', s, ab)
    (tmp_path/'old.png').write_text('keep me')
    with pytest.raises(ScanError, match='exists already'): write_colour(tmp_path/'old.png', s, ab)
    with pytest.raises(ValueError, match='rows'): write_scan(tmp_path/'b.png', np.zeros((3,111,3), np.uint8), s)
    with pytest.raises(ValueError, match='rows'): write_scan(tmp_path/'b.png', iter([np.zeros((50,111,3), np.uint8)]*2), s)
    with pytest.raises(ValueError, match='uint8'): write_scan(tmp_path/'b.png', np.zeros((80,111,3)), s)
    def broken(): yield np.zeros((40,111,3), np.uint8); raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): write_scan(tmp_path/'b.png', broken(), s)
    monkeypatch.setattr(os, 'fsync', lambda fd: (_ for _ in ()).throw(OSError(28, 'No space left on device')))
    for f in 'b.png','old.png','b.tif','b.jpg','b.webp':
        with pytest.raises(ScanError, match='No space left'): write_colour(tmp_path/f, s, ab, overwrite=True)
    monkeypatch.undo()
    assert sorted(os.listdir(tmp_path))==['old.png', 'original.png'] and (tmp_path/'old.png').read_text()=='keep me' and src.read_bytes()==before
    write_colour(tmp_path/'old.png', s, ab, overwrite=True)
    write_colour(src, s, ab, replace_original=True)
    assert read_scan(src).pixels.ndim==3 and sorted(os.listdir(tmp_path))==['old.png', 'original.png']

@pytest.mark.skipif(os.name!='posix', reason="file modes are POSIX")
def test_file_mode_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try: write_colour(tmp_path/'a.jpg', Scan(gray8), ab)
    finally: os.umask(old)
    assert (tmp_path/'a.jpg').stat().st_mode&0o777==0o640

def test_depth_and_format():
    assert output_format('a.TIF', scan_bits=16)==('TIFF', 16) and output_format('a.jpeg', scan_bits=16)==('JPEG', 8) and output_format('x', 'png', 16)==('PNG', 16)
    for bad in (('a.xyz',), ('a',), ('a.jpg', None, 16), ('a.png', None, 12), ('a.png', 'bmp')):
        with pytest.raises(ValueError): output_format(*bad)

@pytest.mark.parametrize('bits', [8, 16])
def test_depth_as_asked(bits, tmp_path):
    write_colour(tmp_path/'a.tif', Scan(gray16 if bits==8 else gray8), ab, bits=bits)
    assert read_scan(tmp_path/'a.tif').bits==bits and tags(tmp_path/'a.tif')['IFD0:BitsPerSample']==f'{bits} {bits} {bits}'

@pytest.mark.skipif(not sys.platform.startswith('linux'), reason="peak memory is measured in Linux's units")
def test_memory_grows_with_the_file_not_with_floats(tmp_path):
    "20 megapixels of 16-bit RGB: 120 MB in, 120 MB out, and strips; the same in float32 would take 3 GB"
    x = np.kron(rgb16, np.ones((48,46,1), np.uint16))[:3840,:5100]
    tifffile.imwrite(tmp_path/'big.tif', x, photometric='rgb')
    code = """
    import resource, sys, torch
    torch.set_num_threads(1)
    from colorized.photo.scan import read_scan, write_colour
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e3
    start = peak()
    s = read_scan(sys.argv[1]); s.thumbnail_L(256)
    write_colour(sys.argv[2], s, torch.full((1,2,64,64), 15.))
    print(peak()-start)"""
    out = subprocess.run([sys.executable, '-c', textwrap.dedent(code), tmp_path/'big.tif', tmp_path/'out.tif'], capture_output=True, text=True, check=True)
    assert float(out.stdout)<600, out.stdout
