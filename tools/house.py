"""The picture of the house: which parts there are and which use which, read from their imports.

    python tools/house.py            # draw it anew in CONTRIBUTING.md
    python tools/house.py --sizes    # what is larger than CONTRIBUTING's examples: modules, cells

A test holds the picture against the code, and refuses imports that run upwards."""
import argparse, ast, json, re
from pathlib import Path

root = Path(__file__).resolve().parent.parent
# An import points to an earlier part, or to an earlier chapter of its own.
PARTS = ('files', 'theory', 'photo', 'model', 'evaluation', 'training', 'evidence', 'inference',
         'batch', 'fleet', 'iiif', 'film', 'app', 'desk', 'export', 'cli')
PURPOSE = dict(
    files='writing whole or not at all, hashes: used by all but theory, uses nobody',
    theory='the mathematics; knows no photograph',
    photo='an archive’s files in and out; knows no network',
    model='photographs and seeds in, chroma out: the one inference path',
    evaluation='the outputs of any system, judged',
    training='fastai lives here',
    evidence='what is known about a color: found in references, believed as far as it is likely',
    inference='what Python users hold',
    batch='thousands of files',
    film='moving pictures: the same film again, in color',
    app='the web page',
    desk='an album reviewed by people',
    fleet='many machines',
    iiif='albums of libraries',
    export='the network for runtimes other than PyTorch',
    cli='one module a command')
BEGIN,END = '<!-- drawn by tools/house.py -->','<!-- end of the drawing -->'
MOST_LINES,MOST_CELL_LINES = 250,30

def modules(package=root/'colorized'):
    "All modules by name, such as `photo.lab`, and their files"
    bare = '__init__.py','__main__.py','_modidx.py' # none of them from a notebook
    files = [o for o in package.rglob('*.py') if o.name not in bare]
    name = lambda o: '.'.join(o.relative_to(package).with_suffix('').parts)
    return {name(o): o for o in sorted(files)}

def imports(module, file, known, top=False):
    "(module of ours, names) of every import in `file`, or of those at its top level"
    tree = ast.parse(file.read_text('utf-8'))
    here = ['colorized', *module.split('.')]
    for o in tree.body if top else ast.walk(tree):
        if not isinstance(o, ast.ImportFrom):
            continue
        base = here[:-o.level] if o.level else []
        full = '.'.join([*base, *filter(None, [o.module])])
        if full!='colorized' and not full.startswith('colorized.'):
            continue
        target = full.removeprefix('colorized').lstrip('.')
        if target in known:
            yield target,[a.name for a in o.names]
        else: # from a package: its modules
            inside = [f'{target}.{a.name}'.lstrip('.') for a in o.names]
            yield from ((k, []) for k in inside if k in known)

def chapters():
    "Modules in the order of the book: parts as above, chapters by their number"
    found = []
    for nb in (root/'nbs').rglob('[0-9]*.ipynb'):
        m = re.search(r'#\| *default_exp (\S+?)(?:\\n)?"', nb.read_text('utf-8'))
        if m:
            found.append((PARTS.index(m[1].split('.')[0]), nb.name, m[1]))
    return [module for _,_,module in sorted(found)]

def upward():
    "Imports that run upwards, as sentences"
    known,order = modules(),chapters()
    for module,file in known.items():
        # a command loads what it needs when it is called
        for target,_ in imports(module, file, known, top=module.startswith('cli.')):
            if order.index(target)>=order.index(module):
                yield f'{module} imports {target}, which is not before it'

def arrows(known):
    "{part: parts it uses}"
    part = lambda module: module.split('.')[0]
    uses = {}
    for module,file in known.items():
        used = {part(target) for target,_ in imports(module, file, known)}
        uses.setdefault(part(module), set()).update(used-{part(module)})
    return uses

def reduced(uses):
    "Without the arrows that a longer way makes needless"
    def reach(a):
        return set().union(*({b}|reach(b) for b in uses.get(a, ())), set())
    return {a: {b for b in bs if not any(b in reach(c) for c in bs-{b})} for a,bs in uses.items()}

def drawing(package=root/'colorized', parts=PARTS):
    "Markdown: a graph of the parts, and a table of their rooms with their lines"
    known = modules(package)
    uses = reduced(arrows(known))
    order = [o for o in parts if o in uses]
    yield '```mermaid'
    yield 'graph TD'
    for a in reversed(order):
        for b in sorted(uses[a], key=parts.index):
            yield f'    {a} --> {b}'
    yield '```'
    yield ''
    yield '| part | what it is for | rooms and their lines |'
    yield '|---|---|---|'
    lines = lambda o: len(known[o].read_text('utf-8').splitlines())
    for a in order:
        rooms = [o for o in chapters() if o.split('.')[0]==a]
        text = ', '.join(f'{o.split(".")[-1]} {lines(o)}' for o in rooms)
        yield f'| `{a}` | {PURPOSE[a]} | {text} |'

def contributing():
    "CONTRIBUTING.md with the drawing as it is now"
    text = (root/'CONTRIBUTING.md').read_text('utf-8')
    head,rest = text.split(BEGIN)
    return '\n'.join([head+BEGIN, '', *drawing(), '', END+rest.split(END)[1]])

def large():
    "What is larger than the examples, as sentences"
    for module,file in modules().items():
        n = len(file.read_text('utf-8').splitlines())
        if n>MOST_LINES:
            yield f'{module}: {n} lines'
    for nb in sorted((root/'nbs').rglob('[0-9]*.ipynb')):
        for i,cell in enumerate(json.loads(nb.read_text('utf-8'))['cells']):
            n = len(cell['source'])
            if cell['cell_type']=='code' and n>MOST_CELL_LINES:
                yield f'{nb.relative_to(root)}, cell {i}: {n} lines'

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', action='store_true', help='print what is large')
    if parser.parse_args().sizes:
        print('\n'.join(large()))
    else:
        (root/'CONTRIBUTING.md').write_text(contributing(), 'utf-8')

if __name__=='__main__':
    main()
