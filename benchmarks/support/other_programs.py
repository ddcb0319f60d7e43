"What ExifTool, libvips, ImageMagick and libtiff say of the files that `corpora` colored"
import json, re, subprocess, sys
from collections import defaultdict

VIPS = '''
import sys, pyvips
for line in sys.stdin:
    path = line.rstrip("\\n")
    print("\\0"+path, file=sys.stderr, flush=True)
    try: pyvips.Image.new_from_file(path, access="sequential").avg()
    except pyvips.Error as e: print(e, file=sys.stderr, flush=True)
'''

def vips_says(folder, files):
    text = '\n'.join(files).encode()
    done = subprocess.run([sys.executable, '-c', VIPS], cwd=folder, input=text, capture_output=True)
    parts = done.stderr.decode(errors='replace').split('\0')[1:]
    return {p.split('\n', 1)[0]: p.split('\n', 1)[1].splitlines() for p in parts}

def exiftool_says(folder, files):
    out = {}
    for i in range(0, len(files), 200):
        command = ['exiftool', '-j', '-G1:4', '-a', '-validate', '-warning', '-error',
                   *files[i:i+200]]
        said = subprocess.run(command, cwd=folder, capture_output=True).stdout
        for o in json.loads(said or '[]'):
            out[o['SourceFile']] = [str(v) for k,v in o.items() if re.search('Warning|Error', k)]
    return out

def each_says(command):
    def says(folder, files):
        out = {}
        for o in files:
            run = subprocess.run([*command, o], cwd=folder, capture_output=True, timeout=300)
            out[o] = run.stderr.decode(errors='replace').splitlines()
        return out
    return says

READERS = dict(
    exiftool=(exiftool_says, r'.'),
    libvips=(vips_says, r'.'),
    ImageMagick=(each_says(['identify', '-regard-warnings']), r'.'),
    tiffinfo=(each_says(['tiffinfo', '-D']), r'\.tiff?$'))

NO_FAULT = ( # (warning, why it is none)
    ('0x0103 Compression', 'ExifTool knows TIFF 6.0, to which Adobe added Deflate'),
    ('0x83bb IPTC-NAA', "XMP's standard wants UNDEFINED or BYTE, ExifTool LONG"),
    ('maker notes offsets', 'a remark says that the note was moved'))

def normal(line):
    "A warning without what differs between two files"
    line = re.sub(r'^\[minor\] |\(process:\d+\)|\d\d:\d\d:\d\d\.\d+|\d+|@ \S+', '', line)
    path = r'[`\'"]?\.?/?[^\s`\'":]*/[^\s`\'":]*|[^\s`\'"/]*\.(tiff?|png|jpe?g|webp)\b'
    return re.sub(path, '', line)

def read(rows, out):
    "{program: {warning that the original did not have: [file]}}, and how many files each read"
    found,counts = {},{}
    for program,(says,names) in READERS.items():
        some = [o for o in rows if re.search(names, o['output'], re.I)]
        after = says(out/'colored', [f"./{o['output']}" for o in some])
        told = [o for o in some if after.get(f"./{o['output']}")]
        before = says(out/'originals', [f"./{o['path']}" for o in told])
        found[program],counts[program] = defaultdict(list),len(some)
        for o in told:
            had = set(map(normal, before.get(f"./{o['path']}", [])))
            for line in after[f"./{o['output']}"]:
                if normal(line) in had: continue
                why = next((why for part,why in NO_FAULT if part in line), None)
                found[program][why and f'({why})' or line[:160]].append(o['output'])
    return dict(files=counts, warnings=found)
