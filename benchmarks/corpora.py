"""Odd and hostile files of public repositories, through reading, coloring and writing.

    python benchmarks/corpora.py CLONES OUT [--only color compare read manifests] [--corpus NAME …]

CLONES is a folder of git clones, bare or not, named owner+name; `SOURCES` says which, and at which
commit. Their files are taken out of git to OUT/originals, and never become part of this repository.

color      Each file is read, colored in one step and written to OUT/colored as `colorized FOLDER`
           would, in a process of its own with a limit of time and memory. The colors are not looked
           at; what is asked is whether the program says what it did.
compare    What ExifTool lists before and after. What a color version must change is in
           `tag_changes.py`, with reasons; all else is lost or changed, and is listed.
read       ExifTool, libvips, ImageMagick and libtiff read every output; what they warn of in an
           output and not in its original is listed.
manifests  IIIF manifests and info.json, through the readers of `colorized iiif`. No network.

Each leaves a JSON in OUT; the tables are printed, and written to OUT/tables.md. Steps that are
done are not done again, unless corpora are named: then those are colored anew and the rows of the
others stay. Needs exiftool, ImageMagick and libtiff-tools, and the extra dev.
"""
import argparse, importlib, json, os, re, resource, signal, subprocess, sys
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from clones import blobs, git_dir, holds, listed

SECONDS, GIGABYTES = 60, 4. # of a core and of memory, for one file

@dataclass(frozen=True)
class Source:
    "Files of a repository"
    name:str         # In the tables
    repository:str   # owner/name
    commit:str       # As many digits as tell it from others
    paths:str        # Regular expression that the path of a file matches

SOURCES = (
    Source('Pillow', 'python-pillow/Pillow', '4e5f09f533db', r'^Tests/images/'),
    Source('Pillow, more', 'python-pillow/test-images', '7077675d2cda', r'.'),
    Source('libtiff', 'vadz/libtiff', 'cda4b0691404', r'^test/images/'),
    Source('libtiff, torn', 'esy-packages/esy-libtiff', '83b1f5c8f76a', r'^test/images/'),
    Source('libtiff pictures', 'BitMiracle/libtiff.net', '5ad1a8053bec',
           r'^TestCase/[^/]*\.tiff?$'),
    Source('libpng', 'pnggroup/libpng', 'd1d0abeffede', r'\.png$'),
    Source('PngSuite', 'lunapaint/pngsuite', '8cd768dd0d00', r'\.(?:png|bmp)$'),
    Source('ExifTool', 'exiftool/exiftool', '38bdbace3037', r'^t/images/'),
    Source('Photoshop', 'psd-tools/psd-tools', '31d5b6b9eda3', r'\.(?:psd|psb)$'))
MANIFESTS = (
    Source('IIIF cookbook', 'IIIF/cookbook-recipes', '31efecaa3255', r'^recipe/.*\.json$'),
    Source('IIIF fixtures', 'IIIF/api', '28a88829699e', r'(?<!context)\.json$'))

@dataclass
class Row:
    "What became of a file"
    corpus:str
    path:str           # Relative to OUT/originals
    ended:str          # 'colored', 'refused' or 'crashed'
    said:str=''        # Why it was refused, or how it crashed; remarks of one that was colored
    seconds:float=0.
    megabytes:float=0. # Of memory, beyond what the process began with
    output:str=''      # Relative to OUT/colored

def take_out(source, clones, folder):
    "The files of a source, out of git; those that are there already are left as they are"
    git = git_dir(clones, source.repository)
    if git is None or not holds(git, source.commit):
        raise SystemExit(f'{clones} holds no {source.repository} with commit {source.commit}')
    base = folder/source.name
    missing = [(sha, o) for sha,o in listed(git, source.commit, source.paths)
               if not (base/o).is_file()]
    for path,data in blobs(git, missing):
        (base/path).parent.mkdir(parents=True, exist_ok=True)
        (base/path).write_bytes(data)
    return sorted(o for o in base.rglob('*') if o.is_file())

# Coloring

def limited(work, seconds=SECONDS, gigabytes=GIGABYTES):
    """`work()` in a child process, with limits

    Returns (what it returned, a JSON-able; how it died or None; seconds, megabytes it grew)."""
    out,into = os.pipe()
    before = resident(os.getpid())
    child = os.fork()
    if not child:
        os.close(out)
        leave_with(work, into, seconds, gigabytes)
    os.close(into)
    with os.fdopen(out, 'rb') as f: said = f.read()
    _,status,used = os.wait4(child, 0)
    died = None
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        late = number in (signal.SIGPROF, signal.SIGALRM)
        died = f'took over {seconds} s' if late else signal.Signals(number).name
    elif os.WEXITSTATUS(status): died = f'left with {os.WEXITSTATUS(status)}'
    grown = max(0, used.ru_maxrss/1024-before)
    spent = used.ru_utime+used.ru_stime
    return json.loads(said) if said and not died else None,died,spent,grown

def resident(pid):
    "Memory of a process, MB"
    return int(re.search(r'VmRSS:\s*(\d+)', Path(f'/proc/{pid}/status').read_text())[1])/1024

def leave_with(work, into, seconds, gigabytes):
    "In the child"
    code = 1
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(20*seconds) # for one that waits
        virtual = int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (virtual+int(gigabytes*2**30),)*2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with os.fdopen(into, 'wb') as f: f.write(json.dumps(work()).encode())
        code = 0
    finally:
        os._exit(code)

def colored(colorizer, src, dst):
    "Color a file -> [how it ended, what was said]"
    from colorized.photo.scan import ScanError
    try:
        result = colorizer.colorize(src, steps=1)
        return ['colored', '; '.join([*result.scan.remarks, *result.save(dst, overwrite=True)])]
    except ScanError as e:
        return ['refused', str(e)]
    except Exception as e:
        return ['crashed', f'{type(e).__name__}: {e}']

def color(source, files, out, colorizer):
    "A row for each file"
    from colorized.batch.names import assign_outputs
    originals,target = out/'originals',out/'colored'
    names = assign_outputs({o: str(o.relative_to(originals)) for o in files})
    for src,name in names.items():
        (target/name).parent.mkdir(parents=True, exist_ok=True)
        said,died,seconds,grown = limited(lambda: colored(colorizer, src, target/name))
        ended,why = said or ['crashed', died]
        why = why.replace(str(src), src.name)
        path = str(src.relative_to(originals))
        yield Row(source.name, path, ended, why, round(seconds, 2), round(grown), name)

def color_all(args, out):
    import torch
    torch.set_num_threads(1)
    from colorized.inference.colorizer import Colorizer
    from PIL import Image
    for o in 'imagecodecs','pi_heif','tifffile': importlib.import_module(o) # once, for all children
    Image.init()
    small = dict(working_size=64, min_size=64)
    colorizer = Colorizer.from_pretrained(device='cpu', settings=small)
    colorizer.colorize(torch.zeros(64, 64, dtype=torch.uint8).numpy(), steps=1)
    kept = json.loads((out/'color.json').read_text()) if (out/'color.json').exists() else []
    rows = [Row(**o) for o in kept if o['corpus'] not in (args.corpus or ())]
    for source in chosen(SOURCES, args):
        files = take_out(source, args.clones, out/'originals')
        for row in color(source, files, out, colorizer):
            rows.append(row)
            if row.ended=='crashed': print(f'{row.path}: {row.said}', flush=True)
        ends = Counter(o.ended for o in rows if o.corpus==source.name)
        print(f'{source.name}: {dict(ends)}', flush=True)
    return [asdict(o) for o in rows]

def color_table(rows):
    "Markdown"
    yield '| corpus | files | colored | refused | crashed | slowest | most memory |'
    yield '|---|---:|---:|---:|---:|---|---|'
    by = defaultdict(list)
    for o in rows: by[o['corpus']].append(o)
    for name,group in [*by.items(), ('all', rows)]:
        n = Counter(o['ended'] for o in group)
        slow,large = (max(group, key=lambda o: o[k]) for k in ('seconds', 'megabytes'))
        base = lambda o: os.path.basename(o['path'])
        yield (f"| {name} | {len(group)} | {n['colored']} | {n['refused']} | {n['crashed']} "
               f"| {slow['seconds']:.1f} s, {base(slow)} "
               f"| {large['megabytes']:.0f} MB, {base(large)} |")

# Tags

def tags_of(folder, files):
    "{file: {tag: value}} of every tag that ExifTool lists, repeated ones numbered"
    out = {}
    for i in range(0, len(files), 200):
        command = ['exiftool', '-j', '-G1:4', '-a', '-u', '-api', 'largefilesupport=1',
                   '-api', 'limitlongvalues=0', *files[i:i+200]]
        said = subprocess.run(command, cwd=folder, capture_output=True).stdout
        for o in json.loads(said or '[]'): out[o.pop('SourceFile')] = o
    return out

def compare(args, out):
    "{'lost' | 'changed': {tag: [file, before, after]}} over all colored files"
    from tag_changes import differences
    rows = [o for o in json.loads((out/'color.json').read_text()) if o['ended']=='colored']
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

def compare_table(found):
    for kind in 'lost','changed':
        yield f'| {kind} | files | an example |'
        yield '|---|---:|---|'
        for tag,cases in sorted(found[kind].items(), key=lambda o: -len(o[1])):
            path,before,*_ = cases[0]
            text = re.sub(r'[|\n\r]', ' ', before)[:60]
            yield f'| {tag} | {len(cases)} | {os.path.basename(path)}: {text} |'
        yield ''
    yield '| not counted, because | tags |'
    yield '|---|---:|'
    for why,n in sorted(found['ignored'].items(), key=lambda o: -o[1]): yield f'| {why} | {n} |'

# Other programs

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

def read(args, out):
    "{program: {warning that the original did not have: [file]}}, and how many files each read"
    rows = [o for o in json.loads((out/'color.json').read_text()) if o['ended']=='colored']
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
        print(f'{program}: {len(some)} read, {sum(map(len, found[program].values()))} new warnings',
              flush=True)
    return dict(files=counts, warnings=found)

def read_table(found):
    yield '| program | outputs read | new warnings |'
    yield '|---|---:|---|'
    for program,n in found['files'].items():
        kinds = defaultdict(list)
        for line,files in found['warnings'][program].items(): kinds[normal(line)] += [line, *files]
        text = '<br>'.join(f'{len(v)-1} × {v[0][:90]}' for v in kinds.values()).replace('|', '/')
        yield f"| {program} | {n} | {text or 'none'} |"

# Manifests

def parsed(path):
    "Read a manifest or an info.json -> [how it ended, what was said]"
    from colorized.iiif.fetch import IIIFError
    from colorized.iiif.manifest import find_pictures, read_manifest
    from colorized.iiif.service import parse_info
    try:
        if path.name=='info.json':
            return ['colored', str(parse_info(json.loads(path.read_text()), 'info.json'))]
        pictures,others = find_pictures(read_manifest(path, None, lambda kind: f'urn:{kind}'))
        return ['colored', f'{len(pictures)} pictures, {len(others)} other things']
    except (IIIFError, json.JSONDecodeError) as e:
        return ['refused', str(e)]
    except Exception as e:
        return ['crashed', f'{type(e).__name__}: {e}']

def manifests(args, out):
    for o in 'manifest','service': importlib.import_module(f'colorized.iiif.{o}')
    rows = []
    for source in chosen(MANIFESTS, args):
        for src in take_out(source, args.clones, out/'originals'):
            said,died,seconds,grown = limited(lambda: parsed(src))
            ended,why = said or ['crashed', died]
            if ended=='crashed': print(f'{src}: {why}', flush=True)
            rows.append(Row(source.name, str(src.relative_to(out/'originals')), ended, why,
                            round(seconds, 2), round(grown)))
    return [asdict(o) for o in rows]

def manifests_table(rows):
    return (o.replace('colored', 'read') for o in color_table(rows))

STEPS = dict(color=(color_all, color_table), compare=(compare, compare_table),
             read=(read, read_table), manifests=(manifests, manifests_table))

def chosen(sources, args): return [o for o in sources if not args.corpus or o.name in args.corpus]

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clones', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--only', nargs='+', default=[*STEPS], choices=[*STEPS])
    parser.add_argument('--corpus', nargs='+', help='names in SOURCES (all of them if not given)')
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tables = []
    for name in args.only:
        work,table = STEPS[name]
        file = args.out/f'{name}.json'
        if not file.exists() or args.corpus:
            file.write_text(json.dumps(work(args, args.out), indent=1))
        tables += ['', *table(json.loads(file.read_text()))]
        print('\n'.join(tables[-40:]))
    (args.out/'tables.md').write_text('\n'.join(tables)+'\n')

if __name__=='__main__': main()
