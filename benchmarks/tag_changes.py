"""What a color version may leave out or change of the tags that ExifTool lists, and why.

`corpora.py compare` counts all else as lost or changed. A pattern is that of a tag as ExifTool
names it, its group before it; `Copy1:` and the like, which number repeated tags, are taken off."""
import re

# (pattern, why a color version lacks it, or has another)
EXPECTED = (
    (r'(File|System|ExifTool):', 'of the file as such: name, size, time, permissions'),
    (r'Composite:', "ExifTool's own combination of other tags"),
    (r'(IFD0|IFD1|ExifIFD|TIFF):(ImageWidth|ImageHeight|BitsPerSample|Compression|StripOffsets|'
     r'StripByteCounts|RowsPerStrip|SamplesPerPixel|PhotometricInterpretation|'
     r'PlanarConfiguration|Predictor|TileWidth|TileLength|TileOffsets|TileByteCounts|'
     r'SampleFormat|ExtraSamples|FillOrder|ColorMap|SubfileType|OldSubfileType|T4Options|'
     r'T6Options|CleanFaxData|BadFaxLines|ConsecutiveBadFaxLines|JPEGTables|JPEGProc|'
     r'JPEG[A-Z]\w+|YCbCr\w+|ReferenceBlackWhite|TransferFunction|SM(in|ax)SampleValue|'
     r'(Min|Max)SampleValue|ImageDepth|TileDepth|Thresholding|GrayResponse\w+|InkSet|'
     r'InkNames|NumberofInks|DotRange|HalftoneHints|CellWidth|CellLength|WhitePoint|'
     r'PrimaryChromaticities|Free\w+|IPTC-NAA|Padding)$', 'how pixels are stored'),
    (r'(IFD0|IFD1|ExifIFD):(Orientation|ColorSpace|ExifImageWidth|ExifImageHeight)$',
     'the output is upright and sRGB'),
    (r'XMP-tiff:(Orientation|ImageWidth|ImageHeight|BitsPerSample|SamplesPerPixel|'
     r'PhotometricInterpretation|Compression)$', 'how pixels are stored, said in XMP'),
    (r'XMP-exif:(ColorSpace|ExifImageWidth|ExifImageHeight)$', 'the output is upright and sRGB'),
    (r'XMP-(dc:Format|photoshop:(ColorMode|ICCProfileName)|xmpMM:InstanceID|x:XMPToolkit)$',
     'of the original as a file'),
    (r'XMP-(iptcExt:DigitalSourceType|colorized:)', 'provenance'),
    (r'XMP-xmp:Thumbnail', 'a preview would show the photograph without color'),
    (r'XMP-xmpNote:', 'XMP is in one piece again'),
    (r'IFD1:', 'a preview would show the photograph without color'),
    (r'(SubIFD\d*|IFD[2-9]|IFD\d\d|MPImage\d|MPF\d|Preview\w*|MPF\w*):',
     'other pictures in the same file'),
    (r'InteropIFD:', 'names the color space of the original'),
    (r'ICC', 'the output is sRGB'),
    (r'(JFIF|JPEG):|APP\d+:', 'how a JPEG is stored'),
    (r'IFD0:(XResolution|YResolution|ResolutionUnit)$', 'compared as pixels an inch'),
)
_EXPECTED = [(re.compile(pattern), why) for pattern,why in EXPECTED]

def plain(tag):
    "Without the number of a repeated tag"
    return re.sub(r'Copy\d+:', '', tag)

def dpi(tags):
    "Resolution, (x, y) in pixels an inch, or None"
    x,y = (tags.get(f'IFD0:{k}Resolution', tags.get(f'JFIF:{k}Resolution')) for k in 'XY')
    unit = tags.get('IFD0:ResolutionUnit', tags.get('JFIF:ResolutionUnit'))
    k = dict(inches=1, cm=2.54).get(unit)
    if not k or not all(isinstance(o, (int, float)) and 1<o*k<1e6 for o in (x, y)): return None
    return x*k,y*k

def differences(before, after, said):
    """(kind, tag, …) of each tag that is not the same after as before

    'lost' and 'changed' come with the values, 'ignored' with the reason."""
    values = {}
    for k,v in after.items(): values.setdefault(plain(k), []).append(v)
    for k,v in before.items():
        tag = plain(k)
        if v in values.get(tag, ()): continue
        why = next((why for pattern,why in _EXPECTED if pattern.match(tag)), None)
        if why: yield 'ignored',tag,why
        elif tag in values: yield 'changed',tag,v,values[tag][0]
        else: yield 'lost',tag,v,''
