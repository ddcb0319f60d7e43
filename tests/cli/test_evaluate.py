"What the command says while it measures"
import warnings
from colorized.cli.evaluate import evaluate
from colorized.evaluation import folders

class Measured:
    def markdown(self): return 'a table'

def test_warnings_are_lines_for_a_reader(tmp_path, capsys, monkeypatch):
    "each once, without a line of our source; those of other kinds are Python's"
    def measure(true, colorized, *args, progress, **kwargs):
        progress(f'reading 4 photographs of {true}')
        for _ in range(3): warnings.warn("FID from 4 photographs has a bias", stacklevel=2)
        warnings.warn("1 of 4 files in a\x1b[2J\n were colored by a program")
        warnings.warn("mean of an empty slice", RuntimeWarning)
        return Measured()
    monkeypatch.setattr(folders, 'evaluate_folders', measure)
    python_tells = []
    monkeypatch.setattr(warnings, 'showwarning', lambda *args, **kw: python_tells.append(args))
    before = warnings.showwarning
    evaluate(tmp_path/'true\n', colorized=tmp_path/'a')
    out,err = capsys.readouterr()
    assert out=='a table\n' and err.splitlines()==[
        f'reading 4 photographs of {tmp_path}/true\\n',
        'colorized: FID from 4 photographs has a bias',
        r'colorized: 1 of 4 files in a\x1b[2J\n were colored by a program']
    assert [o[1] for o in python_tells]==[RuntimeWarning] and warnings.showwarning is before
