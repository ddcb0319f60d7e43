"The installed command, an environment without a network, and one photograph in many forms"
import json, os, shutil, struct, subprocess, sys
from pathlib import Path
import numpy as np, pytest, tifffile
from PIL import Image
from exif import change, tags

PHOTO = Path(__file__).resolve().parents[2]/'nbs/images/campus-1910.jpg'
BESIDE_PYTHON = shutil.which('colorized', path=str(Path(sys.executable).parent))
COMMAND = BESIDE_PYTHON or shutil.which('colorized')
GUARD = '''
import socket
def refuse(name):
    real = getattr(socket.socket, name)
    def call(self, address, *args):
        if self.family==getattr(socket, 'AF_UNIX', None): return real(self, address, *args)
        open({log!r}, 'a').write(f'{{address}}\\n')
        raise OSError(f'the network was asked for: {{address}}')
    setattr(socket.socket, name, call)
refuse('connect')
refuse('connect_ex')
def lookup(*args, **kwargs):
    open({log!r}, 'a').write(f'{{args}}\\n')
    raise OSError(f'the network was asked for: {{args}}')
socket.getaddrinfo = lookup
'''

@pytest.fixture(scope='session')
def command():
    assert COMMAND, "the command is not installed: pip install -e ."
    return COMMAND

@pytest.fixture(scope='module')
def network(tmp_path_factory):
    "Environment in which every attempt to reach the network fails and is written down"
    folder = tmp_path_factory.mktemp('network')
    log = folder/'attempts.txt'
    log.touch()
    (folder/'sitecustomize.py').write_text(GUARD.format(log=str(log)))
    env = {k:v for k,v in os.environ.items() if not k.startswith(('HF_', 'TRANSFORMERS_'))}
    env = {k:v for k,v in env.items() if k.lower() not in ('no_proxy', 'all_proxy')}
    for k in 'HTTP_PROXY','HTTPS_PROXY':
        env[k] = env[k.lower()] = 'http://127.0.0.1:9'
    path = [str(folder), *filter(None, [os.environ.get('PYTHONPATH')])]
    env.update(PYTHONPATH=os.pathsep.join(path), PYTHONUTF8='1', OMP_NUM_THREADS='1',
        OMP_WAIT_POLICY='PASSIVE')
    return env,log

@pytest.fixture(scope='module')
def run(network, command):
    "`run(argument, …, cwd=folder)`: the installed command, its exit code, what it said"
    def go(*args, code=0, **kwargs):
        return judged(subprocess.run([command, *map(str, args)], env=network[0],
            capture_output=True, text=True, encoding='utf-8', timeout=300, **kwargs), code)
    return go

def judged(r, code):
    assert 'Traceback' not in r.stderr, r.stderr
    assert r.returncode==code, (r.returncode, r.stdout, r.stderr)
    return r

@pytest.fixture(scope='module')
def call(network, tmp_path_factory):
    "As `run`, by forks of a process that has imported the command: it takes a third of the time"
    said = [tmp_path_factory.mktemp('said')/o for o in ('stdout', 'stderr')]
    server = subprocess.Popen([sys.executable, Path(__file__).with_name('fork_server.py')],
        env=network[0], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    def go(*args, code=0, cwd='.'):
        args = [str(o) for o in args]
        print(json.dumps(dict(args=args, cwd=str(cwd), stdout=str(said[0]), stderr=str(said[1]))),
            file=server.stdin, flush=True)
        done = int(server.stdout.readline())
        return judged(subprocess.CompletedProcess(args, done,
            *(o.read_text('utf-8') for o in said)), code)
    yield go
    server.stdin.close()
    assert server.wait(60)==0

@pytest.fixture
def main(capsys):
    "`main(argument, …)`: in this process, where nothing is computed; exit code, output, errors"
    import torch
    from colorized.cli.main import main
    torch.set_num_threads(1)
    def go(*args):
        try:
            code = main([str(o) for o in args])
        except SystemExit as e:
            code = e.code
        return code,*capsys.readouterr()
    return go

# ---- one photograph in many forms ----
def gray_profile(gamma=2.2):
    "The smallest gray ICC profile, byte by byte after ICC.1:2001-04"
    curve = struct.pack('>IH', 1, round(gamma*256))
    body = {b'desc': b'desc\0\0\0\0'+struct.pack('>I', 10)+b'Gray test\0'+bytes(78),
        b'cprt': b'text\0\0\0\0none\0',
        b'wtpt': b'XYZ \0\0\0\0'+struct.pack('>3i', 63190, 65536, 54061),
        b'kTRC': b'curv\0\0\0\0'+curve}
    at,table,data = 128+4+12*len(body),b'',b''
    for k,v in body.items():
        v += bytes(-len(v)%4)
        table += struct.pack('>4sII', k, at+len(data), len(v))
        data += v
    size = struct.pack('>I4sI', at+len(data), b'\0\0\0\0', 0x02400000)
    kind = b'mntrGRAYXYZ '+struct.pack('>6H4s', 2000, 1, 1, 0, 0, 0, b'acsp')
    head = size+kind
    head += bytes(128-len(head)-60)+struct.pack('>3i', 63190, 65536, 54061)+bytes(48)
    return head+struct.pack('>I', len(body))+table+data

METADATA = {'IFD0:Make': 'Linhof', 'IFD0:Model': 'Technika', 'IFD0:Artist': 'Änne Müller',
    'IFD0:Copyright': 'City Archive', 'ExifIFD:DateTimeOriginal': '1910:06:01 12:00:00',
    'IPTC:CodedCharacterSet': 'UTF8', 'IPTC:Caption-Abstract': 'Administration building, façade',
    'IPTC:City': 'Moscow', 'XMP-dc:Title': 'Campus', 'XMP-dc:Creator': 'Änne Müller',
    'XMP-photoshop:Credit': 'City Archive', 'XMP-xmpRights:UsageTerms': 'Public domain',
    'XMP-xmpMM:HistoryAction': 'scanned'}

@pytest.fixture(scope='session')
def scans(tmp_path_factory):
    "As an archive, a scanner, a print shop, a phone and a web page would hold it"
    f = tmp_path_factory.mktemp('scans')
    shutil.copy(PHOTO, f/'campus.jpg')
    gray = Image.open(PHOTO).convert('L').resize((540, 347), Image.Resampling.LANCZOS)
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, (347, 540), dtype=np.uint16)
    g16 = np.asarray(gray).astype(np.uint16)*256+fine
    tifffile.imwrite(f/'gray16.tif', g16, photometric='minisblack', iccprofile=gray_profile(),
        resolution=(600, 600), resolutionunit=2, metadata=None)
    sepia = (g16[...,None]/65535)**[0.85, 1., 1.3]
    tifffile.imwrite(f/'sepia.tif', (sepia*65535).round().astype(np.uint16), photometric='rgb',
        compression='lzw', metadata=None)
    gray.convert('RGB').convert('CMYK').save(f/'cmyk.jpg', quality=95)
    gray.transpose(Image.Transpose.ROTATE_90).save(f/'phone.jpg', quality=95)
    gray.resize((16, 16), Image.Resampling.BOX).save(f/'icon.png')
    set_all = [f'-{k}={v}' for k,v in METADATA.items()]
    for name in 'gray16.tif','sepia.tif','cmyk.jpg','phone.jpg':
        change(f/name, *set_all)
    change(f/'phone.jpg', '-IFD0:Orientation#=6', '-XMP-tiff:Orientation#=6')
    assert tags(f/'phone.jpg')['IFD0:Orientation']=='Rotate 90 CW'
    assert 'XMP-dc:Title' in tags(f/'gray16.tif')
    return f
