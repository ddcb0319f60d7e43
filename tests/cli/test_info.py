"`colorized info FILE`: what a file says of its making, and the command that makes it again"
import json, re, shlex, shutil
import numpy as np, pytest
from PIL import Image
from colorized import __version__
from colorized.cli.info import _about_file
from colorized.inference.colorizer import WEIGHTS, Colorizer
from colorized.photo.provenance import Provenance
from colorized.photo.scan import Scan
from colorized.photo.writing import write_scan

def again(main, file):
    "The words of the command, and what is to be known"
    code,said,_ = main('info', file, '--json')
    about = json.loads(said)
    assert code==0
    return shlex.split(about['command']),about['remarks']

def coloring(path, settings=(), **made):
    "A file that says it was made like this, by the packaged weights unless otherwise said"
    sha = (WEIGHTS/'default.sha256').read_text().split()[0]
    settings = dict(dict(bits=None, quality=95, source_sha256='0'*64), **dict(settings))
    made = dict(dict(model='m', model_sha256=sha, seed=1, steps=6), **made)
    x = np.zeros((8, 9, 3), np.uint8)
    write_scan(path, x, Scan(x), Provenance(settings=settings, **made))
    return path

HINTS = '--hint', '300,200,navy', '--hint', '100,80,200,30,30,12'
WAYS = {'a.jpg': ('--seed', '3', '--samples', '2', '--temperature', '0.8', '--quality', '90'),
    'a.tif': ('--bits', '16', '--saturation', '1.1', '--set', 'average=0', 'working_size=320',
              'gain=1.05', '--source-type', 'composite', *HINTS)}

@pytest.mark.parametrize('name', WAYS)
def test_the_command_makes_the_same_file(name, scans, main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(scans/'phone.jpg', 'photo.jpg')
    assert main('photo.jpg', '--out', name, '--steps', '2', *WAYS[name])[0]==0
    made = 'a-seed4.jpg' if '--samples' in WAYS[name] else name
    words,remarks = again(main, made)
    assert not remarks and words.count('--hint')==WAYS[name].count('--hint')
    command = [o.replace('ORIGINAL', 'photo.jpg') for o in words[1:]]
    assert main(*command)[0]==0
    assert (tmp_path/command[-1]).read_bytes()==(tmp_path/made).read_bytes()

def test_only_what_differs_from_the_defaults_is_said(main, tmp_path):
    s = dict(vars(Colorizer.from_pretrained(device='cpu').settings), saturation=1., hints=False)
    usual = coloring(tmp_path/'a.png', s, seed=0, steps=s['steps'])
    assert again(main, usual)==(['colorized', 'ORIGINAL', '--out', 'again.png'], [])
    other = coloring(tmp_path/'b.png', dict(s, anchor=False, temperature=0.5), seed=-4)
    assert again(main, other)[0]==['colorized', 'ORIGINAL', '--seed', '-4', '--temperature', '0.5',
        '--set', 'anchor=0', '--out', 'again.png']

def test_other_weights_are_asked_for_with_all_their_settings(main, tmp_path):
    words,remarks = again(main, coloring(tmp_path/'a.png', dict(gain=1.), model_sha256='f'*64))
    assert words[2:8]==['--model', 'MODEL', '--seed', '1', '--steps', '6']
    assert words[8:10]==['--set', 'gain=1.0'] and 'other weights' in remarks[0]

@pytest.mark.parametrize('settings,made,said', [
    ({}, dict(software='colorized 0.0.1'), f'this is colorized {__version__}'),
    (dict(hints=True, corrections=['navy at 3,4']), {}, 'strokes were painted (navy at 3,4)'),
    (dict(hints=True), {}, 'add the picture of them, or the file, as --hints'),
    (dict(hints=True, hints_sha256='ab12'), {}, 'or the file, as --hints (SHA-256 ab12)'),
    (dict(source_sha256=None), {}, 'is not known'),
    (dict(magic=3), {}, 'no option says magic=3')])
def test_what_the_command_cannot_say(settings, made, said, main, tmp_path):
    _,remarks = again(main, coloring(tmp_path/'a.png', settings, **made))
    assert len(remarks)==1 and said in remarks[0]

def test_hints_that_are_none(main, tmp_path):
    "Whoever edited the metadata is told"
    for i,hints in enumerate([[3], [[1, 2]], ['ab'], [[1, 2, 'red\x1b[m']]]):
        code,out,err = main('info', coloring(tmp_path/f'{i}.png', dict(hints=hints)))
        assert (code, out)==(1, '') and f'{i}.png: its hint {hints[0]!r} is none' in err

def test_sheets_and_maps_have_no_command(scans, main, tmp_path):
    x = np.zeros((8, 9, 3), np.uint8)
    write_scan(tmp_path/'sheet.png', x, Scan(x), Provenance('m', 'f', 0, 6, dict(hints=False)))
    for o in tmp_path/'sheet.png',coloring(tmp_path/'a.jpg.uncertainty.png'):
        code,said,_ = main('info', o)
        assert code==0 and 'no command makes it from one file' in said and 'ORIGINAL' not in said

def test_what_says_nothing_is_refused(scans, main, tmp_path):
    (tmp_path/'text.jpg').write_text('no picture')
    for file,why in {scans/'campus.jpg': 'does not say how it was made',
                     tmp_path/'text.jpg': 'not a photograph', tmp_path/'none.jpg': 'no such file',
                     tmp_path: 'is a folder'}.items():
        code,out,err = main('info', file)
        assert (code, out)==(1, '') and err.startswith(f'colorized: {file}: ') and why in err

def test_a_file_of_somebody_else_cannot_speak_to_shell_or_terminal(main, tmp_path):
    "What it says is quoted, or no number, or shown as a mark"
    evil = '1; rm -rf ~ \x1b[2J'
    file = coloring(tmp_path/'a.png', dict(quality=evil), model=evil.replace('\x1b', '\u202e'))
    code,out,_ = main('info', file)
    assert code==0 and not re.search('[\x1b\u202e]', out) and "--quality '1; rm -rf ~ " in out
    for wrong in dict(seed='1;2'),dict(steps='six'),dict(steps=5000),dict(settings=dict(gain='x')):
        file = coloring(tmp_path/f'{len(files := [*tmp_path.iterdir()])}.png', **wrong)
        code,out,err = main('info', file)
        assert (code, out)==(1, '') and str(file) in err, (wrong, files)

def test_another_program_may_have_written_it_anew(tmp_path):
    "XMP with attributes in place of elements; a changed source type is told, not repeated"
    Image.new('RGB', (9, 8)).save(tmp_path/'a.jpg', xmp=b'''<?xpacket begin="" id="x"?>
        <x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
        xmlns:c="https://example.github.io/colorized/ns/1.0/" c:Seed="5" c:Steps="6"
        xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" i:DigitalSourceType="x/digitalCapture"
        c:Settings='{"bits": null, "quality": 95, "source_sha256": "0"}'/></rdf:RDF></x:xmpmeta>
        <?xpacket end="w"?>''')
    about = _about_file(tmp_path/'a.jpg', None)
    assert (about['seed'], about['source_type'])==(5, 'digitalCapture')
    assert any('source type was changed' in o for o in about['remarks'])
    assert '--source-type' not in about['command']
