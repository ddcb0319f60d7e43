"""What a color version may leave out or change of the tags that ExifTool lists, and why

`corpora` counts all else as lost or changed. A pattern is that of a tag as ExifTool
names it, its group before it; `Copy1:` and the like, which number repeated tags, are taken off."""
import json, re, subprocess
from collections import Counter, defaultdict

STORAGE = 'how pixels are stored'
PICTURES = 'other pictures in the same file, and previews'
COLORS = 'colors of the original; the output is sRGB'
UPRIGHT = 'the output is upright'
FORMAT = 'how its own file format is built'
PROGRAM = 'how a program showed or printed the original'
EXPECTED = ( # (pattern, why a color version lacks it, or has another)
    (r'(File:(?!Comment)|System:|ExifTool:)', 'of the file as such: name, size, time, permissions'),
    (r'Composite:', "ExifTool's own combination of other tags"),
    (r'(IFD0|ExifIFD):(ImageWidth|ImageHeight|BitsPerSample|Compression|StripOffsets|'
     r'StripByteCounts|RowsPerStrip|SamplesPerPixel|PhotometricInterpretation|'
     r'PlanarConfiguration|Predictor|TileWidth|TileLength|TileOffsets|TileByteCounts|DataType|'
     r'SampleFormat|ExtraSamples|FillOrder|SubfileType|OldSubfileType|T4Options|'
     r'T6Options|CleanFaxData|BadFaxLines|ConsecutiveBadFaxLines|JPEGTables|JPEGProc|'
     r'JPEG[A-Z]\w+|ImageDepth|TileDepth|Thresholding|CellWidth|CellLength|'
     r'Free\w+|IPTC-NAA|Padding|OtherImageLength|BlackLevelDelta.)$', STORAGE),
    (r'IFD0:(Site|ColorSequence|IT8Header|ColorTable|ImageColorValue|BackgroundColorValue|'
     r'ColorCharacterization|TrapIndicator|PixelIntensityRange)$', STORAGE),
    (r'IFD0:(ColorMap|TransferFunction|YCbCr\w+|ReferenceBlackWhite|S?M(in|ax)SampleValue|'
     r'GrayResponse\w+|InkSet|InkNames|NumberofInks|DotRange|HalftoneHints|WhitePoint|'
     r'PrimaryChromaticities)$', COLORS),
    (r'IFD0:(PageNumber|XPosition|YPosition)$', 'place of the page among others, on its sheet'),
    (r'IFD0:(Preview|Other)Image', PICTURES),
    (r'(IFD0|ExifIFD|XMP-tiff):(Orientation|ExifImageWidth|ExifImageHeight)$', UPRIGHT),
    (r'(ExifIFD|XMP-exif):(ColorSpace|ExifImageWidth|ExifImageHeight)$', UPRIGHT),
    (r'XMP-tiff:(ImageWidth|ImageHeight|BitsPerSample|SamplesPerPixel|'
     r'PhotometricInterpretation|Compression)$', STORAGE),
    (r'XMP-(dc:Format|photoshop:(ColorMode|ICCProfileName)|xmpMM:InstanceID|x:XMPToolkit)$',
     'of the original as a file'),
    (r'XMP-(iptcExt:DigitalSourceType|colorized:)', 'provenance'),
    (r'XMP-xmp:Thumbnail', PICTURES),
    (r'XMP-xmpNote:', 'XMP is in one piece again'),
    (r'(IFD\d+|SubIFD\d*|MPImage\d|MPF\d|Preview\w*|MPF\w*|Track\d|JFXX|Nikon-?Preview\w*):',
     PICTURES),
    (r'\w+:(PreviewImage\w*|ThumbnailImage\w*)$', PICTURES),
    (r'InteropIFD:', COLORS),
    (r'ICC', COLORS),
    (r'(JFIF|JPEG|Adobe|AdobeCM|SPIFF|RIFF|QuickTime|Meta|Jpeg2000):', FORMAT),
    (r'GIF:(?!Comment)', FORMAT),
    (r'PNG:(ColorType|BitDepth|Interlace|ImageWidth|ImageHeight|Palette\w*|Transparency|'
     r'SuggestedPalette|SignificantBits|BackgroundColor|StereoMode|Virtual\w+|ImageOffset|'
     r'PixelCalibration|Subject(Units|PixelWidth|PixelHeight))$', STORAGE),
    (r'PNG:Animation', PICTURES),
    (r'(PNG:(Gamma|SRGBRendering|ProfileName|ICC_Profile|WhitePoint[XY]|(Red|Green|Blue)[XY])|'
     r'PNG-cICP:\w+)$', COLORS),
    (r'PNG:(ModifyDate|Exif)$', 'of the file as such: name, size, time, permissions'),
    (r'Photoshop:(?!Copyright|URL$|Caption)', PROGRAM),
    (r'(Ducky:Quality|PictureInfo:|Channel\d:|FlashPix:)', PROGRAM),
    (r'(IFD0|PNG-pHYs):(XResolution|YResolution|ResolutionUnit|PixelsPerUnit[XY]|PixelUnits)$',
     'a resolution: in another unit, or of a kind that states none'),
)
_EXPECTED = [(re.compile(pattern), why) for pattern,why in EXPECTED]

# (pattern, part of the remark that says so)
SAID = (
    (r'(PNG|File:Comment|GIF:Comment|JPS:JPSComment)', 'texts outside EXIF, IPTC and XMP'),
    (r'XML|GeoTiff|IFD0', 'XML or other boxes of JPEG 2000'), (r'Photoshop', "Photoshop's "),
    (r'IPTC', 'no place for IPTC'),
    (r'XMP', 'the original XMP could not be read'),
    (r'IFD0:ImageDescription$', 'was left behind'),
    (r'File:Comment$', 'what other programs keep in it'),
    (r'(IFD0|ExifIFD|GPS):', 'EXIF is damaged'), (r'(IFD0|ExifIFD|GPS):', 'entries of EXIF'),
    (r'', 'MakerNote'), (r'', 'what other programs keep in it'),
    (r'', 'behind the end of the JPEG'))

MOVED = { # Tag of the original -> where its value stands in an output
    'Photoshop:CopyrightFlag': 'XMP-xmpRights:Marked',
    'Photoshop:URL': 'XMP-xmpRights:WebStatement'}

def plain(tag):
    "Without the number of a repeated tag"
    return re.sub(r'Copy\d+:', '', tag)

def differences(before, after, said):
    """(kind, tag, …) of each tag that is not the same after as before

    'lost' and 'changed' come with the values, 'ignored' with the reason."""
    values = {}
    for k,v in after.items(): values.setdefault(plain(k), []).append(v)
    general = {'IFD0', 'ExifIFD', 'GPS', 'IPTC', 'PNG', 'GIF', 'File'}
    for k,v in before.items():
        tag = plain(k)
        if v in values.get(tag, ()): continue
        if tag.endswith(':Comment') and v in values.get('PNG:Comment', ()): continue
        if v in values.get(MOVED.get(tag), ()): continue
        why = next((why for pattern,why in _EXPECTED if pattern.match(tag)), None)
        if (tag,v)==('Photoshop:CopyrightFlag', False): why = 'says nothing'
        if tag=='File:Comment' and 'OpenJPEG' in str(v): why = FORMAT
        if not why:
            group = tag.split(':')[0]
            is_general = group in general or group.startswith('XMP-')
            why = next(('a remark says so: … '+words for pattern,words in SAID if words in said
                        and re.match(pattern, tag) and (pattern or not is_general)), None)
        if why: yield 'ignored',tag,why
        elif tag in values: yield 'changed',tag,v,values[tag][0]
        else: yield 'lost',tag,v,''

def tags_of(folder, files):
    "{file: {tag: value}} of every tag that ExifTool lists, repeated ones numbered"
    out = {}
    for i in range(0, len(files), 200):
        command = ['exiftool', '-j', '-G1:4', '-a', '-u', '-api', 'largefilesupport=1',
                   '-api', 'limitlongvalues=0', *files[i:i+200]]
        said = subprocess.run(command, cwd=folder, capture_output=True).stdout
        for o in json.loads(said or '[]'): out[o.pop('SourceFile')] = o
    return out

def compare(rows, out):
    "{'lost' | 'changed': {tag: [file, before, after]}} over all colored files"
    before = tags_of(out/'originals', [f"./{o['path']}" for o in rows])
    after = tags_of(out/'colored', [f"./{o['output']}" for o in rows])
    found = {'lost': defaultdict(list), 'changed': defaultdict(list), 'ignored': Counter()}
    for o in rows:
        a,b = before.get(f"./{o['path']}"),after.get(f"./{o['output']}")
        if a is None or b is None:
            found['lost']['every tag'].append([o['path'], '', ''])
            continue
        for kind,tag,*what in differences(a, b, o['said']):
            if kind=='ignored': found[kind][what[0]] += 1
            else: found[kind][tag].append([o['path'], *(str(w)[:200] for w in what)])
    return found | {'files': len(rows)}
