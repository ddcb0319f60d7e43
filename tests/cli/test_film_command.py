"`colorized film` as a person meets it"
import subprocess, sys

import numpy as np, pytest

from colorized.cli.main import main

av = pytest.importorskip('av', reason="needs the extra film")

def write(path, n=6, size=(64, 48)):
    with av.open(str(path), 'w') as c:
        s = c.add_stream('ffv1', rate=16)
        s.width,s.height,s.pix_fmt = *size,'gray'
        for i in range(n):
            f = av.VideoFrame(*size, 'gray')
            np.frombuffer(f.planes[0], np.uint8).reshape(size[1], -1)[:] = 40+20*i
            f.pts = i
            c.mux(s.encode(f))
        c.mux(s.encode(None))
    return path

def run(*args, code=''):
    code += "import sys; from colorized.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, '-c', code, 'film', *map(str, args)],
                          capture_output=True, text=True, timeout=300)

def test_a_film(tmp_path, model):
    path = write(tmp_path/'reel.mkv')
    p = run(path, '--model', model, '--steps', 2, '--working-size', 64, '--threads', 1)
    assert p.returncode==0, p.stderr
    assert 'reel.colorized.mkv: 6 frames in 1 shot' in p.stdout
    assert 'no matrix tag' in p.stderr
    assert (tmp_path/'reel.colorized.mkv').exists()

def test_a_wildcard_run_again_finds_nothing_new(tmp_path, model, capsys):
    "It names what the first run wrote, too"
    write(tmp_path/'reel.mkv', 2)
    again = lambda: main(['film', *map(str, sorted(tmp_path.glob('*.mkv'))), '--model', str(model),
                          '--steps', '2', '--working-size', '64', '--threads', '1'])
    assert again()==0
    before = sorted(tmp_path.iterdir())
    capsys.readouterr()
    assert again()==0 and sorted(tmp_path.iterdir())==before
    said = capsys.readouterr()
    assert said.err==(f"colorized: {tmp_path/'reel.colorized.mkv'}: passed over, it is the "
                      "coloring of another\n")
    assert said.out==f"{tmp_path/'reel.colorized.mkv'}: done before\n"

def test_the_name_of_an_output_is_checked_on_a_real_film(tmp_path, capsys):
    out = str(tmp_path/'a.avi')
    assert main(['film', str(write(tmp_path/'reel.mkv')), '--out', out])==1
    err = capsys.readouterr().err
    assert err==f'colorized: {out}: .avi: expected one of .mkv .mov .mp4\n'

@pytest.mark.parametrize('args, said, code', [
    ([], 'name a film', 2),
    (['none.mkv'], 'none.mkv: no such file', 1),
    (['text.mkv'], 'cannot be opened as a film', 1),
    (['text.mkv', '--hint', '3,4,red'], '--hint must be', 2),
    (['text.mkv', '--hint', '0,3,4,rot'], "--hint 0,3,4,rot: 'rot' is no color", 2),
    (['text.mkv', '--source-type', 'x'], '--source-type must be', 1),
    (['text.mkv', '--gap', '0'], '--gap must be above 0', 2),
    (['text.mkv', '--preview', '--hint', '0,3,4,red'], '--hint would do nothing', 2),
    (['text.mkv', '--preview', '--keep'], '--keep would do nothing', 2),
    (['text.mkv', '--preview', '--codec', 'h264'], '--codec would do nothing', 2),
])
def test_what_is_wrong_is_said_in_one_line(tmp_path, capsys, args, said, code):
    (tmp_path/'text.mkv').write_text('no film')
    args = [str(tmp_path/o) if o.endswith('.mkv') else o for o in args]
    assert main(['film', *args])==code
    err = capsys.readouterr().err
    assert said in err and err.startswith('colorized: ') and err.count('\n')==1

@pytest.mark.parametrize('error', [
    MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to …")],
    ids=['Python', 'PyTorch'])
def test_too_little_memory_for_one_film_of_several(tmp_path, capsys, monkeypatch, error):
    "It is named, and the next one is tried"
    from colorized.film import film
    tried = []
    def colorize_film(path, *args, **kwargs):
        tried.append(path.name)
        raise error
    monkeypatch.setattr(film, 'colorize_film', colorize_film)
    paths = [write(tmp_path/o, 2) for o in ('a.mkv', 'b.mkv')]
    (tmp_path/'out').mkdir()
    assert main(['film', *map(str, paths), '--out', str(tmp_path/'out')])==1
    err = capsys.readouterr().err
    assert tried==['a.mkv', 'b.mkv']
    assert err==''.join(f'colorized: {o}: there is too little memory\n' for o in paths)

def test_without_the_extra_it_says_what_to_install(tmp_path):
    p = run(write(tmp_path/'a.mkv'), code="import sys; sys.modules['av'] = None; ")
    assert p.returncode==1 and "pip install '.[film]'" in p.stderr

def test_help_needs_neither_films_libraries_nor_the_network():
    code = ("import atexit, sys\natexit.register(lambda: print('LOADED', *(m for m in "
            "('av', 'cv2', 'scenedetect', 'torch') if m in sys.modules)))\n")
    p = run('--help', code=code)
    assert p.returncode==0 and p.stdout.rstrip().endswith('LOADED')

@pytest.mark.parametrize('names, out', [
    (['a/reel.mkv', 'b/reel.mkv'], 'a'), (['a/reel.mkv', 'a/reel.mov'], None)])
def test_two_films_do_not_become_one_file(tmp_path, capsys, names, out):
    paths = [tmp_path/o for o in names]
    for o in paths:
        o.parent.mkdir(exist_ok=True)
        write(o.with_suffix('.mkv')).rename(o)
    more = ['--out', str(tmp_path/out)] if out else []
    before = sorted(tmp_path.rglob('*'))
    assert main(['film', *map(str, paths), *more])==2
    err = capsys.readouterr().err
    assert f'{paths[0]} and {paths[1]} would become the same file' in err and err.count('\n')==1
    assert sorted(tmp_path.rglob('*'))==before
