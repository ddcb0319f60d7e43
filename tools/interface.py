"""The public interface: `python tools/interface.py` prints it, `--write` puts it on its page.

Public are the names of `colorized` itself, with the methods of its classes; the commands with their
options; the columns of a report; the format of checkpoints. What lies in the parts may change."""
import inspect, re, sys
from argparse import SUPPRESS
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root))
PAGE = root/'nbs'/'trust'/'interface.qmd'
FASTCORES = ('help', 'pdb', 'xtra') # Options of every command that fastcore adds
BLOCK = re.compile(r'(?<=^```text\n).*?(?=^```$)', re.M|re.S)

def signature(o):
    "Names, kinds and defaults of the parameters of `o`; annotations differ from Python to Python"
    params = inspect.signature(o).parameters.values()
    factory = lambda p: p.default is not p.empty and 'object' in repr(p.default)
    plain = [p.replace(annotation=p.empty, default=... if factory(p) else p.default)
             for p in params if p.name not in ('self', 'cls')]
    return str(inspect.Signature(plain))

def members(cls):
    "Lines for what a class offers: methods, properties and fields"
    fields = getattr(cls, '__dataclass_fields__', {})
    for name in sorted({*dir(cls), *fields}):
        if name.startswith('_'): continue
        o = getattr(cls, name, None)
        yield f"    .{name}{signature(o) if callable(o) else ''}"

def python():
    "Lines for the names that `import colorized` offers"
    import colorized
    for name in sorted(colorized._PLACES):
        o = getattr(colorized, name)
        yield f'colorized.{name}{signature(o)}'
        if inspect.isclass(o): yield from members(o)

def option(a):
    "A line for the argument `a` of a parser"
    name = ', '.join(a.option_strings) or a.dest.upper()
    choices = '' if not a.choices else ' {'+','.join(map(str, a.choices))+'}'
    many = f' {a.nargs}' if a.nargs not in (None, 0) else ''
    need = ' required' if a.required and a.option_strings else ''
    none = any(a.default is o for o in (None, False, SUPPRESS))
    default = '' if none else f' = {a.default}'
    return f'    {name}{choices}{many}{need}{default}'

def commands():
    "Lines for the commands and their options"
    from fastcore.script import anno_parser
    from colorized.cli.main import COMMANDS
    from colorized.cli.photo import color
    for name,func in {'': color, **COMMANDS}.items():
        yield f'$ colorized {name}'.rstrip()
        yield from sorted(option(a) for a in anno_parser(func)._actions if a.dest not in FASTCORES)

def files():
    "Lines for what programs read from our files"
    from colorized.batch.ledger import COLUMNS
    from colorized.fleet.record import RECORD
    from colorized.model.checkpoint import FORMAT
    from colorized.photo.provenance import Provenance
    noted = Provenance('name', 'hash', 1, 2, {}).properties
    yield 'report.csv: '+', '.join(COLUMNS)
    yield "a fleet's record: "+', '.join(f'{k} {v}' for k,v in RECORD.items())
    yield 'XMP: '+', '.join(map(':'.join, noted))
    yield f'checkpoint format: {FORMAT}'

def text():
    "The whole interface"
    return '\n'.join([*python(), '', *commands(), '', *files(), ''])

if __name__=='__main__':
    if '--write' in sys.argv:
        PAGE.write_text(BLOCK.sub(lambda _: text(), PAGE.read_text('utf-8')), 'utf-8')
    else: print(text(), end='')
