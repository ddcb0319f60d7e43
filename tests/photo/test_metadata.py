"Metadata, written by ExifTool and read by ExifTool behind our own reading and writing"
import io, json, struct, time
from pathlib import Path
import imagecodecs, numpy as np, pytest, tifffile
from PIL import Image, ImageCms, PngImagePlugin
from colorized.photo.blocks import hexadecimal_profile, jp2_boxes
from colorized.photo.profiles import usable_profile
from colorized.photo.provenance import Provenance
from colorized.photo.reading import read_scan
from colorized.photo.writing import write_color
from exif import change, tags
from photo_files import (IPTC, L_of, ab, exif_with, gray16, gray8, heic, is_close, png_chunk, rgb16,
    rgb8)

RICH = [
    '-IFD0:Make=Linhof', '-IFD0:Model=Technika é', '-IFD0:Artist=Änne Müller',
    '-IFD0:Copyright=(c) Archive', '-IFD0:ImageDescription=Harbor', '-IFD0:Software=ScanSuite 3',
    '-ExifIFD:DateTimeOriginal=1912:05:06 07:08:09', '-ExifIFD:ExposureTime=1/125',
    '-ExifIFD:FNumber=5.6', '-ExifIFD:LensModel=Apo 90', '-ExifIFD:UserComment=scan 12',
    '-GPS:GPSLatitude=53.1', '-GPS:GPSLatitudeRef=N', '-GPS:GPSLongitude=8.8',
    '-GPS:GPSLongitudeRef=E', '-IFD0:Orientation#=6', '-ExifIFD:ColorSpace#=65535',
    '-XMP-dc:Title=Hafen & Möwen', '-XMP-dc:Subject=harbor', '-XMP-dc:Subject=gulls',
    '-XMP-dc:Rights=CC0', '-XMP-xmp:CreatorTool=ScanSuite', '-XMP-tiff:Orientation#=6',
    f'-XMP-iptcExt:DigitalSourceType={IPTC}negativeFilm', '-XMP-photoshop:City=Bremen',
    '-XMP-xmpMM:HistoryAction=scanned', '-IPTC:Headline=Gulls', '-IPTC:Keywords=harbor',
    '-IPTC:Keywords=gulls', '-IPTC:By-line=Müller', '-IPTC:CodedCharacterSet=UTF8']
CHANGED = {
    'IFD0:Orientation', 'XMP-tiff:Orientation', 'ExifIFD:ColorSpace',
    'XMP-iptcExt:DigitalSourceType'}
STORAGE = {f'IFD0:{k}' for k in '''ImageWidth ImageHeight BitsPerSample Compression StripOffsets
    PhotometricInterpretation SamplesPerPixel RowsPerStrip StripByteCounts PlanarConfiguration
    Predictor YCbCrPositioning XResolution YResolution ResolutionUnit SampleFormat'''.split()}

@pytest.fixture(scope='module')
def rich(tmp_path_factory):
    d = tmp_path_factory.mktemp('rich')
    for suffix in 'jpg','webp','jp2','avif': Image.fromarray(rgb8).save(d/f'a.{suffix}')
    (d/'a.heic').write_bytes(heic(rgb8, 'RGB'))
    tifffile.imwrite(d/'a.tif', rgb16, photometric='rgb', metadata=None, software=False)
    (d/'a.png').write_bytes(imagecodecs.png_encode(rgb16))
    for f in d.iterdir(): change(f, *RICH)
    return d

def is_kept(k):
    group = k.split(':')[0]
    return group in ('IFD0', 'ExifIFD', 'GPS', 'IPTC') or group.startswith('XMP-')

@pytest.mark.parametrize('src', ['jpg', 'tif', 'png', 'webp', 'jp2', 'heic', 'avif'])
@pytest.mark.parametrize('dst', ['jpg', 'tif', 'png', 'webp'])
def test_metadata_is_carried_over(src, dst, rich, tmp_path):
    before,s = tags(rich/f'a.{src}'),read_scan(rich/f'a.{src}')
    made = Provenance('base', 'ab'*32, 7, 16, {'guidance':1.5})
    remarks = write_color(tmp_path/f'out.{dst}', s, ab, made)
    after = tags(tmp_path/f'out.{dst}')
    kept = {k for k in before if is_kept(k)} - CHANGED - STORAGE
    assert len(kept)>=(18 if src in ('webp', 'heic', 'avif') else 22)
    lost = {k for k in kept if before[k]!=after.get(k)}
    if dst=='webp':
        assert remarks==(['WebP has no place for IPTC-IIM'] if s.iptc else [])
        lost = {k for k in lost if not k.startswith('IPTC:')}
    else:
        assert not remarks
    assert not lost
    assert not [k for k in after if 'Warning' in k or 'Error' in k]
    assert after['IFD0:Orientation']==after['XMP-tiff:Orientation']=='Horizontal (normal)'
    assert after['ExifIFD:ColorSpace']=='sRGB'
    assert after['XMP-iptcExt:DigitalSourceType']==IPTC+'compositeWithTrainedAlgorithmicMedia'
    ours = {k: after[f'XMP-colorized:{k}'] for k in ('Model', 'Seed', 'Steps', 'ModelSHA256')}
    assert ours==dict(Model='base', Seed=7, Steps=16, ModelSHA256='ab'*32)
    assert json.loads(after['XMP-colorized:Settings'])=={'guidance':1.5}
    assert after['XMP-colorized:Software'].startswith('colorized ')

def test_stale_thumbnail_is_dropped(tmp_path):
    Image.fromarray(rgb8).save(tmp_path/'a.jpg')
    Image.fromarray(rgb8).resize((32,24)).save(tmp_path/'thumb.jpg')
    change(tmp_path/'a.jpg', '-IFD0:Make=Linhof', f'-ThumbnailImage<={tmp_path/"thumb.jpg"}')
    assert 'IFD1:ThumbnailLength' in tags(tmp_path/'a.jpg')
    for suffix in '.jpg','.tif','.png','.webp':
        write_color(tmp_path/f'out{suffix}', read_scan(tmp_path/'a.jpg'), ab)
        assert not [k for k in tags(tmp_path/f'out{suffix}') if 'Thumbnail' in k]

def resolution(path):
    t = tags(path)
    return round(t['IFD0:XResolution']),round(t['IFD0:YResolution'])

def test_resolution_turns_with_the_photograph(tmp_path):
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', dpi=(300,600), exif=exif_with(orientation=6))
    s = read_scan(tmp_path/'a.jpg')
    assert s.dpi==(600,300)
    for suffix in '.jpg','.tif','.png','.webp':
        out = tmp_path/f'out{suffix}'
        write_color(out, s, ab)
        assert resolution(out)==(600,300)
        if suffix!='.webp': assert tuple(map(round, read_scan(out).dpi))==(600,300)

@pytest.mark.parametrize('turn', [1, 3, 6, 8])
@pytest.mark.parametrize('x, options', [
    (gray8>99, {}), (gray8>99, dict(compression='group4')), (gray8, {}), (rgb8, {}), (gray16, {})],
    ids='bilevel fax gray8 rgb8 gray16'.split())
def test_resolution_turns_with_every_tiff(x, options, turn, tmp_path):
    tags_of_file = {274: turn, 282: 204., 283: 98., 296: 2}
    Image.fromarray(x).save(tmp_path/'a.tif', tiffinfo=tags_of_file, **options)
    s = read_scan(tmp_path/'a.tif')
    is_lying = turn>4
    assert s.shape==(x.shape[1::-1] if is_lying else x.shape[:2])
    assert s.dpi==((98,204) if is_lying else (204,98))
    write_color(tmp_path/'out.tif', s, ab)
    assert resolution(tmp_path/'out.tif')==s.dpi

@pytest.mark.parametrize('turn', range(1, 9))
def test_regions_stay_on_what_they_mark(turn, tmp_path):
    "A white box, marked by ExifTool on the stored pixels, and found on those that were written"
    x = np.zeros((80, 120), np.uint8)
    x[20:28,30:48] = 255
    Image.fromarray(x).save(tmp_path/'a.tif')
    face = 'Area={X=0.325,Y=0.3,W=0.15,H=0.1,Unit=normalized},Name=Grandmother,Type=Face'
    change(tmp_path/'a.tif', f'-IFD0:Orientation#={turn}', '-SubjectArea=39 24 18 8',
           '-SubjectLocation=30 20', '-RegionInfo={AppliedToDimensions={W=120,H=80,Unit=pixel},'
           f'RegionList=[{{{face}}}]}}')
    s = read_scan(tmp_path/'a.tif')
    assert not write_color(tmp_path/'out.jpg', s, ab) and not s.warnings
    t,(rows,columns) = tags(tmp_path/'out.jpg'),np.nonzero(s.pixels)
    w,h = np.ptp(columns)+1,np.ptp(rows)+1
    middle = columns.min()+w/2,rows.min()+h/2
    region = [t[f'XMP-mwg-rs:RegionArea{k}'] for k in 'XYWH']
    H,W = s.shape
    assert np.allclose(region, [middle[0]/W, middle[1]/H, w/W, h/H])
    assert t['XMP-mwg-rs:RegionName']=='Grandmother'
    sides = [t[f'XMP-mwg-rs:RegionAppliedToDimensions{k}'] for k in 'WH']
    assert sides==[W,H]
    area = [*map(int, t['ExifIFD:SubjectArea'].split())]
    assert np.abs(np.array(area[:2])-middle).max()<=1 and area[2:]==[w,h]
    column,row = map(int, t['ExifIFD:SubjectLocation'].split())
    assert s.pixels[row,column] and column in (columns.min(), columns.max())

@pytest.mark.parametrize('suffix', ['png', 'webp', 'jp2', 'heic'])
def test_resolution_is_kept_where_it_stands(suffix, tmp_path):
    f,out = tmp_path/f'a.{suffix}',tmp_path/'out.tif'
    if suffix=='heic': f.write_bytes(heic(rgb8, 'RGB'))
    else: Image.fromarray(rgb8).save(f)
    change(f, '-IFD0:XResolution=600', '-IFD0:YResolution=500', '-IFD0:ResolutionUnit#=2')
    write_color(out, read_scan(f), ab)
    assert resolution(out)==(600,500) and tags(out)['IFD0:ResolutionUnit']=='inches'
    change(f, '-IFD0:ResolutionUnit#=3') # a centimeter
    assert np.allclose(read_scan(f).dpi, (600*2.54, 500*2.54))

def test_resolution_is_never_invented(tmp_path):
    exif = exif_with(description='without a resolution') # Pillow says 72 of such
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', exif=exif)
    assert Image.open(tmp_path/'a.jpg').info['dpi']==(72, 72)
    assert read_scan(tmp_path/'a.jpg').dpi is None

@pytest.mark.parametrize('unit, inch', [(None, 1), (2, 1), (3, 2.54)])
def test_a_resolution_in_the_exif_of_a_jpeg_alone_has_two_sides(unit, inch, tmp_path):
    "Pillow takes that of the width for both"
    exif = Image.Exif()
    exif.update({282: 300., 283: 150., **({296: unit} if unit else {})})
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', exif=exif)
    s = read_scan(tmp_path/'a.jpg')
    assert Image.open(tmp_path/'a.jpg').info.get('jfif_unit', 0)==0
    assert np.allclose(s.dpi, (300*inch, 150*inch))

def test_resolution_without_a_unit_is_none(tmp_path):
    for unit,dpi in dict(none=None, inch=(300,200), centimeter=(762,508)).items():
        tifffile.imwrite(tmp_path/'a.tif', gray8, resolution=(300, 200), resolutionunit=unit,
                         metadata=None)
        found = read_scan(tmp_path/'a.tif').dpi
        assert found==dpi or np.allclose(found, dpi)

def test_metadata_does_not_speak_of_the_file_of_the_original(tmp_path):
    "Photoshop's XMP of a 16-bit gray TIFF, beside an 8-bit JPEG in sRGB"
    tifffile.imwrite(tmp_path/'a.tif', gray16, metadata=None)
    change(tmp_path/'a.tif', '-XMP-dc:Format=image/tiff', '-XMP-photoshop:ColorMode=1',
        '-XMP-photoshop:ICCProfileName=Dot Gain 20%', '-XMP-tiff:BitsPerSample=16',
        '-XMP-tiff:SamplesPerPixel=1', '-XMP-tiff:PhotometricInterpretation=1',
        '-XMP-tiff:Compression=1', '-XMP-xmpMM:InstanceID=xmp.iid:1',
        '-XMP-xmpMM:DocumentID=xmp.did:1', '-XMP-photoshop:City=Bremen')
    before = {k for k in tags(tmp_path/'a.tif') if k.startswith('XMP-')}
    write_color(tmp_path/'out.jpg', read_scan(tmp_path/'a.tif'), ab)
    after = tags(tmp_path/'out.jpg')
    expected = {'XMP-photoshop:City', 'XMP-xmpMM:DocumentID', 'XMP-x:XMPToolkit'}
    assert len(before)>=9 and before & after.keys()==expected & before

IDENTIFIERS = { # As the page on ethics calls them -> as ExifTool does
    'dc:identifier': 'XMP-dc:Identifier', 'xmp:Identifier': 'XMP-xmp:Identifier',
    'xmpMM:DocumentID': 'XMP-xmpMM:DocumentID', 'ImageUniqueID': 'ExifIFD:ImageUniqueID',
    'Iptc4xmpExt:DigImageGUID': 'XMP-iptcExt:DigitalImageGUID',
    'RegistryId': 'XMP-iptcExt:RegistryItemID',
    'plus:ImageSupplierImageID': 'XMP-plus:ImageSupplierImageID',
    'UniqueDocumentID': 'IPTC:UniqueDocumentID'}

@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif'])
def test_the_page_on_ethics_names_the_identifiers_that_stay(suffix, tmp_path):
    page = Path(__file__).resolve().parents[2]/'nbs/ethics.ipynb'
    cells = (''.join(o['source']) for o in json.loads(page.read_text('utf-8'))['cells'])
    said, = [o for o in ' '.join(cells).split('\n') if 'its own identifier' in o]
    assert all(f'`{o}`' in said for o in [*IDENTIFIERS, 'xmpMM:InstanceID'])
    Image.fromarray(gray8).save(tmp_path/'a.jpg')
    digits = '0123456789abcdef'*2
    change(tmp_path/'a.jpg', '-XMP-xmpMM:InstanceID=1', '-XMP-exif:ImageUniqueID=1',
           *(f'-{o}={digits}' for o in IDENTIFIERS.values()))
    write_color(tmp_path/f'out.{suffix}', read_scan(tmp_path/'a.jpg'), ab)
    after = tags(tmp_path/f'out.{suffix}')
    assert all(str(after[o])==digits for o in IDENTIFIERS.values())
    assert 'XMP-exif:ImageUniqueID' in after and 'XMP-xmpMM:InstanceID' not in after

def test_long_xmp(tmp_path):
    Image.fromarray(rgb8).save(tmp_path/'a.jpg')
    (tmp_path/'long.txt').write_text('x'*80000)
    change(tmp_path/'a.jpg', f'-XMP-dc:Description<={tmp_path/"long.txt"}', '-XMP-dc:Title=Long')
    s = read_scan(tmp_path/'a.jpg')
    assert not write_color(tmp_path/'out.png', s, ab)
    assert len(tags(tmp_path/'out.png')['XMP-dc:Description'])==80000
    assert 'too large' in write_color(tmp_path/'out.jpg', s, ab)[0]
    assert 'XMP-iptcExt:DigitalSourceType' in tags(tmp_path/'out.jpg')

def test_iptc_inside_photoshop_resources_of_a_tiff(tmp_path):
    iptc = b'\x1c\x02\x69\0\5Gulls' # a headline
    block = b'8BIM\4\4\0\0'+struct.pack('>I', len(iptc))+iptc
    tifffile.imwrite(tmp_path/'a.tif', gray8, metadata=None,
                     extratags=[(34377, 7, len(block), block, True)])
    assert read_scan(tmp_path/'a.tif').iptc==iptc
    write_color(tmp_path/'out.tif', read_scan(tmp_path/'a.tif'), ab)
    assert tags(tmp_path/'out.tif')['IPTC:Headline']=='Gulls'

def test_damaged_exif_does_not_stop_a_photograph(tmp_path):
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x03'+b'\xff'*60
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', exif=exif)
    s = read_scan(tmp_path/'a.jpg')
    write_color(tmp_path/'out.tif', s, ab)
    assert read_scan(tmp_path/'out.tif').shape==s.shape

# Color profiles, against arithmetic

def test_gray_gamma_profile_is_honoured_at_full_depth(tmp_path):
    "down to the shadows, where Little CMS's integer shortcuts are off by 350 levels"
    icc,x = imagecodecs.cms_profile('gray', gamma=1.8),gray16//4
    tifffile.imwrite(tmp_path/'g.tif', x, iccprofile=icc)
    s = read_scan(tmp_path/'g.tif')
    Y = (x/65535)**1.8
    L = np.where(Y>0.008856, 116*np.cbrt(Y)-16, 116*7.787*Y)
    assert is_close(s, L, 0.01) and not is_close(s, L_of(np.stack([x]*3, -1), 65535), 1)
    write_color(tmp_path/'out.tif', s, ab)
    assert is_close(read_scan(tmp_path/'out.tif'), L, 0.02)

@pytest.mark.parametrize('bits', [8, 16])
def test_adobe_rgb_is_converted(bits, tmp_path):
    icc = imagecodecs.cms_profile('adobergb')
    x = (rgb8//2+64) if bits==8 else (rgb16//2+16384) # muted: inside sRGB
    tifffile.imwrite(tmp_path/'a.tif', x, photometric='rgb', iccprofile=icc)
    lin = (x/(2**bits-1.))**2.19921875
    Y = lin@[0.29734, 0.62736, 0.07529]
    s = read_scan(tmp_path/'a.tif')
    assert s.icc and is_close(s, 116*np.cbrt(Y)-16, 0.1)

def test_srgb_profiles_change_nothing_and_foreign_ones_are_reported(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    of_cmyk,of_gray = srgb[:16]+b'CMYK'+srgb[20:],imagecodecs.cms_profile('gray', gamma=1.8)
    said = {srgb: '', b'not a profile'*20: 'does not fit', of_cmyk: 'CMYK does not fit',
            of_gray: 'GRAY does not fit', srgb[:300]: 'damaged'}
    for icc,part in said.items():
        Image.fromarray(rgb8).save(tmp_path/'a.png', icc_profile=icc)
        s = read_scan(tmp_path/'a.png')
        assert s.icc is None and is_close(s, L_of(rgb8, 255), 1e-3)
        assert len(s.warnings)==bool(part) and part in ''.join(s.warnings)

def test_a_profile_that_is_nearly_srgb_counts():
    "A plain gamma of 2.2 lifts the shadows by one level in a hundred"
    nearly = imagecodecs.cms_profile('rgb', whitepoint=(0.3127, 0.329, 1), gamma=2.2,
                                     primaries=(0.64, 0.33, 0.3, 0.6, 0.15, 0.06))
    assert usable_profile(nearly, False, [])==nearly

def test_gamma_of_a_png():
    "By definition: light is the value to the power of 1/gAMA, unless sRGB is stated or meant"
    def png(x, gamma, more=b''):
        data = imagecodecs.png_encode(x)
        return data[:33]+more+png_chunk(b'gAMA', struct.pack('>I', gamma))+data[33:]
    for x in gray8,gray16:
        light = (x/(255 if x.dtype==np.uint8 else 65535))**1.8
        want = np.where(light>216/24389, 116*np.cbrt(light)-16, light*24389/27)
        assert is_close(read_scan(png(x, 55556)), want, 5e-3)
    assert read_scan(png(rgb8, 55556)).icc is not None
    for other in png(gray8, 45455),png(gray8, 55556, png_chunk(b'sRGB', b'\0')),png(gray8, 1):
        assert read_scan(other).icc is None

def box(kind, body, extended=False, last=False):
    "A box of JPEG 2000, its length in 4 bytes, in 8 or 'to the end'"
    n = 0 if last else 1 if extended else 8+len(body)
    longer = struct.pack('>Q', 16+len(body)) if extended else b''
    return struct.pack('>I4s', n, kind)+longer+body

def test_boxes_of_jpeg_2000_wherever_they_lie():
    "Lengths of all three kinds, an odd place, a color box that is no profile, a broken end"
    xmp,iptc = (bytes.fromhex(o) for o in (
        'be7acfcb97a942e89c71999491e3afac', '33c7a4d2b81d4723a0baf1a3e097ad38'))
    head = box(b'jP  ', b'\r\n\x87\n')+box(b'ftyp', b'jp2 '*3)+box(b'free', b'123')
    colors = box(b'colr', b'\1\0\0\0\0\0\x10')+box(b'colr', b'\2\0\0profile')
    header = box(b'ihdr', bytes(14))+colors
    data = (head + box(b'jp2h', header) + box(b'uuid', iptc+b'words', extended=True)
            + box(b'free', b'\2\0\0no profile') + box(b'uuid', bytes(16)+b'of others')
            + box(b'uuid', b'JpgTiffExif->JP2'+b'II*\0'))
    want = dict(icc=b'profile', iptc=b'words', exif=b'II*\0', more=True) # those of others
    assert jp2_boxes(data)==want
    assert jp2_boxes(data+box(b'uuid', xmp+b'<x/>', last=True))=={**want, 'xmp': b'<x/>'}
    broken = struct.pack('>I4s', 7, b'uuid')
    assert jp2_boxes(data+broken+box(b'uuid', xmp+b'<x/>'))==want
    assert jp2_boxes(data[:-30]) and jp2_boxes(b'')=={}

def test_boxes_that_overlap_are_read_once():
    "A box that goes on behind the one that holds it: each 16 bytes more took twice as long"
    data = box(b'uuid', b'JpgTiffExif->JP2'+b'II*\0')
    for _ in range(24): data = box(b'jp2h', struct.pack('>I4s', 8+len(data), b'jp2h'))+data
    began = time.process_time()
    assert jp2_boxes(data)==dict(exif=b'II*\0') and time.process_time()-began<5

def test_tags_keep_their_types(tmp_path):
    "XPTitle and its like are BYTE, which Windows asks for"
    im = Image.fromarray(rgb8)
    exif = im.getexif()
    exif[40091],exif[700+10] = 'Hafen'.encode('utf-16-le')+b'\0\0',b'\1\2\3'
    im.save(tmp_path/'a.jpg', exif=exif)
    write_color(tmp_path/'out.tif', read_scan(tmp_path/'a.jpg'), ab)
    kinds = lambda f: {k: f.pages[0].tags[k].dtype for k in (40091, 710)}
    stored = Image.open(tmp_path/'a.jpg').info['exif'][6:]
    with tifffile.TiffFile(tmp_path/'out.tif') as f, tifffile.TiffFile(io.BytesIO(stored)) as g:
        assert kinds(f)==kinds(g) and kinds(f)[40091]==tifffile.DATATYPE.BYTE
    assert tags(tmp_path/'out.tif')['IFD0:XPTitle']=='Hafen'

@pytest.mark.parametrize('text,want', [
    ('\niptc\n 4\n1c02', b'\x1c\x02'), ('\niptc\n 4\nzz', None), ('', b''),
    ('\n8bim\n 9\n3842494d0404000000000002abcd', b'\xab\xcd'), ('\n8bim\n 9\n3842494d', None)])
def test_hexadecimal_profiles(text, want):
    assert hexadecimal_profile(text)==want

BOX_7 = ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/'
         '22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
         'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>Box 7, Łódź</dc:source>'
         '</rdf:Description></rdf:RDF></x:xmpmeta>').encode()

@pytest.mark.parametrize('kind', [2, 1, 6, 7], ids=['ASCII', 'BYTE', 'SBYTE', 'UNDEFINED'])
def test_xmp_of_a_tiff_in_a_tag_of_any_type(kind, tmp_path):
    "tifffile makes of it text, bytes or numbers; ExifTool reads them all"
    value = np.frombuffer(BOX_7, np.int8).tolist() if kind==6 else BOX_7
    count = 0 if kind==2 else len(BOX_7)
    tifffile.imwrite(tmp_path/'a.tif', gray8, metadata=None,
                     extratags=[(700, kind, count, value, True)])
    assert tags(tmp_path/'a.tif')['XMP-dc:Source']=='Box 7, Łódź'
    s = read_scan(tmp_path/'a.tif')
    assert not s.warnings and not write_color(tmp_path/'out.tif', s, ab)
    assert tags(tmp_path/'out.tif')['XMP-dc:Source']=='Box 7, Łódź'

def in_hexadecimal(kind, data):
    "A text of a PNG, as ImageMagick 7.1 writes a profile"
    texts = PngImagePlugin.PngInfo()
    digits = '\n'.join(data.hex()[i:i+72] for i in range(0, 2*len(data), 72))
    texts.add_text(f'Raw profile type {kind}', f'\n{kind}\n{len(data):8}\n{digits}\n', zip=True)
    return texts

def test_xmp_of_a_png_in_hexadecimal(tmp_path):
    "With it the mark of an invented color"
    mark = f'Iptc4xmpExt:DigitalSourceType="{IPTC}compositeWithTrainedAlgorithmicMedia"'
    where = 'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    xmp = BOX_7.replace(b'rdf:about=""', f'rdf:about="" {where} {mark}'.encode())
    Image.fromarray(rgb8).save(tmp_path/'a.png', pnginfo=in_hexadecimal('xmp', xmp))
    assert tags(tmp_path/'a.png')['XMP-dc:Source']=='Box 7, Łódź'
    s = read_scan(tmp_path/'a.png')
    assert s.is_generated and s.xmp==xmp and not s.warnings

def test_hexadecimal_digits_that_nobody_reads_are_reported(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'a.png', pnginfo=in_hexadecimal('APP1', b'Exif'))
    s = read_scan(tmp_path/'a.png')
    assert s.warnings==['Raw profile type APP1 was left behind'] and not s.texts

def test_a_profile_that_was_read_is_not_reported(tmp_path):
    icc = imagecodecs.cms_profile('gray', gamma=1.8)
    more = dict(icc_profile=icc, pnginfo=in_hexadecimal('icc', icc)) # ImageMagick writes both
    Image.fromarray(gray8).save(tmp_path/'a.png', **more)
    s = read_scan(tmp_path/'a.png')
    assert s.icc==icc and not s.warnings

def tiff_with(count, kind, value, tags):
    "A TIFF of which all these tags have the same value, or are the same megabyte"
    out = io.BytesIO()
    extra = [(o, 4, 1, 0, True) for o in tags]
    tifffile.imwrite(out, gray8, metadata=None, byteorder='<', extratags=extra)
    data = out.getvalue()
    for o in tags:
        old = struct.pack('<HHII', o, 4, 1, 0)
        assert data.count(old)==1
        where = len(data) if value is None else value
        data = data.replace(old, struct.pack('<HHII', o, kind, count, where))
    return data+bytes(2**20)

def test_only_the_tags_that_are_wanted_are_read():
    "200 tags of the same 1 MB took 196 MB"
    import resource
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = tiff_with(2**20, 1, None, range(40000, 40200))
    read_scan(tiff_with(1, 1, 0, [40000]))
    before = peak()
    assert read_scan(data).shape==gray8.shape
    assert peak()-before<100_000 # kB

def test_a_number_where_bytes_belong_is_nothing():
    "300,000,000 became as many zeros"
    assert read_scan(tiff_with(1, 4, 300_000_000, [34675, 34377])).icc is None
