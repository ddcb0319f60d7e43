"Packets parsed, pruned and joined"
import pytest
from colorized.photo.xmp import XMP_NAMESPACES, parse_xmp, rdf_of, remove_property, xmp_packet

NS = ' '.join(f'xmlns:{k}="{v}"' for k,v in XMP_NAMESPACES.items())
def packet(inside): return f'<x:xmpmeta {NS}><rdf:RDF>{inside}</rdf:RDF></x:xmpmeta>'

@pytest.mark.parametrize('encode', [
    lambda o: o.encode(), lambda o: o.encode('utf-8-sig'), lambda o: o.encode('utf-16'),
    lambda o: b'\xfe\xff'+o.encode('utf-16-be'), lambda o: b'\n'+o.encode()+b'\0\0 \n',
    lambda o: ('<?xml version="1.0" encoding="UTF-16"?>'+o).encode('utf-16')])
def test_packets_are_read_in_every_encoding(encode):
    dom = parse_xmp(encode(packet('<rdf:Description dc:title="Möwen"/>')))
    assert rdf_of(dom).firstChild.getAttribute('dc:title')=='Möwen'

@pytest.mark.parametrize('text, why', [
    ('<!DOCTYPE a>', 'document type'), ('<!doctype a>', 'document type'),
    ('<!ENTITY a "b">', 'document type')])
def test_definitions_are_refused(text, why):
    with pytest.raises(ValueError, match=why): parse_xmp((text+packet('')).encode())

def test_what_is_no_xmp_is_refused():
    with pytest.raises(ValueError, match='no rdf:RDF'): parse_xmp(b'<RDF/>')
    with pytest.raises(Exception): parse_xmp(b'<torn')

def test_a_property_is_removed_wherever_it_stands_but_not_inside_another():
    dom = parse_xmp(packet('''<rdf:Description dc:format="a" dc:title="kept"/>
        <rdf:Description><dc:format>b</dc:format><dc:format>c</dc:format></rdf:Description>
        <rdf:Description><xmpMM:DerivedFrom><rdf:Description dc:format="inside"/>
        </xmpMM:DerivedFrom><xmp:format>other</xmp:format></rdf:Description>''').encode())
    remove_property(dom, 'dc', 'format')
    left = dom.toxml()
    assert left.count('dc:format')==1 and 'inside' in left and 'other' in left and 'kept' in left

class Picture:
    "As Pillow shows a JPEG"
    def __init__(self, xmp, *parts):
        head = b'http://ns.adobe.com/xmp/extension/\0'+b'0'*32
        self.info = dict(xmp=xmp)
        self.applist = [('APP1', head+len(p).to_bytes(4, 'big')+at.to_bytes(4, 'big')+p)
                        for at,p in parts]

def test_parts_of_a_packet_are_put_in_order():
    more = packet('<rdf:Description dc:rights="CC0&#10;1.0"/>').encode()
    first = packet('<rdf:Description xmpNote:HasExtendedXMP="000" dc:title="a"/>').encode()
    joined = xmp_packet(Picture(first, (40, more[40:]), (0, more[:40])))
    assert b'CC0&#10;1.0' in joined and b'title="a"' in joined and b'HasExtendedXMP' not in joined
    assert xmp_packet(Picture(first, (0, more[:40])))==first # a part is missing
    assert xmp_packet(Picture(None, (0, more))) is None

def test_text_becomes_bytes():
    class Png: info = {'XML:com.adobe.xmp': '<ä/>'}
    assert xmp_packet(Png())=='<ä/>'.encode()
