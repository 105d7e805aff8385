"""One web page for a picture, in which every equation of FA-Seg can be touched.

    __main__.py   the command
    pack.py       what the page holds: class maps and attention maps of every level
    page.py       puts data, page.html, style.css and the scripts into one file
    colours.py    of classes and heat maps
    method.js     the equations once more, for the browser; named as in hard.py
    views.js      what is drawn, and what pointer and keys do
"""
