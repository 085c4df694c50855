"""Well-known objects of the sky by position: all of Messier's list and bright ones of the NGC and IC, J2000."""

import math
from dataclasses import dataclass
from functools import lru_cache

# Name, right ascension (hours, minutes), declination (degrees, arc minutes), largest extent (arc minutes), other names.
_TABLE = """
M 1|5 34.5|22 01|6|Crab Nebula
M 2|21 33.5|-0 49|16|
M 3|13 42.2|28 23|18|
M 4|16 23.6|-26 32|26|
M 5|15 18.6|2 05|23|
M 6|17 40.1|-32 13|25|Butterfly Cluster
M 7|17 53.9|-34 49|80|Ptolemy's Cluster
M 8|18 03.8|-24 23|90|Lagoon Nebula
M 9|17 19.2|-18 31|12|
M 10|16 57.1|-4 06|20|
M 11|18 51.1|-6 16|14|Wild Duck Cluster
M 12|16 47.2|-1 57|16|
M 13|16 41.7|36 28|20|Hercules Cluster
M 14|17 37.6|-3 15|11|
M 15|21 30.0|12 10|18|
M 16|18 18.8|-13 47|35|Eagle Nebula
M 17|18 20.8|-16 11|46|Omega Nebula
M 18|18 19.9|-17 08|9|
M 19|17 02.6|-26 16|17|
M 20|18 02.6|-23 02|28|Trifid Nebula
M 21|18 04.6|-22 30|13|
M 22|18 36.4|-23 54|32|
M 23|17 56.8|-19 01|27|
M 24|18 16.9|-18 29|90|Sagittarius Star Cloud
M 25|18 31.6|-19 15|40|
M 26|18 45.2|-9 24|15|
M 27|19 59.6|22 43|8|Dumbbell Nebula
M 28|18 24.5|-24 52|11|
M 29|20 23.9|38 32|7|
M 30|21 40.4|-23 11|12|
M 31|0 42.7|41 16|190|Andromeda Galaxy
M 32|0 42.7|40 52|9|
M 33|1 33.9|30 39|70|Triangulum Galaxy
M 34|2 42.0|42 47|35|
M 35|6 08.9|24 20|28|
M 36|5 36.1|34 08|12|
M 37|5 52.4|32 33|24|
M 38|5 28.7|35 50|21|
M 39|21 32.2|48 26|32|
M 40|12 22.4|58 05|1|
M 41|6 46.0|-20 44|38|
M 42|5 35.4|-5 27|85|Orion Nebula
M 43|5 35.6|-5 16|20|
M 44|8 40.1|19 59|95|Beehive Cluster
M 45|3 47.0|24 07|110|Pleiades
M 46|7 41.8|-14 49|27|
M 47|7 36.6|-14 30|30|
M 48|8 13.8|-5 48|54|
M 49|12 29.8|8 00|10|
M 50|7 03.2|-8 20|16|
M 51|13 29.9|47 12|11|Whirlpool Galaxy
M 52|23 24.2|61 35|13|
M 53|13 12.9|18 10|13|
M 54|18 55.1|-30 29|12|
M 55|19 40.0|-30 58|19|
M 56|19 16.6|30 11|9|
M 57|18 53.6|33 02|2|Ring Nebula
M 58|12 37.7|11 49|6|
M 59|12 42.0|11 39|5|
M 60|12 43.7|11 33|7|
M 61|12 21.9|4 28|6|
M 62|17 01.2|-30 07|15|
M 63|13 15.8|42 02|13|Sunflower Galaxy
M 64|12 56.7|21 41|10|Black Eye Galaxy
M 65|11 18.9|13 05|10|
M 66|11 20.2|12 59|9|
M 67|8 51.4|11 49|30|
M 68|12 39.5|-26 45|11|
M 69|18 31.4|-32 21|10|
M 70|18 43.2|-32 18|8|
M 71|19 53.8|18 47|7|
M 72|20 53.5|-12 32|7|
M 73|20 59.0|-12 38|3|
M 74|1 36.7|15 47|10|
M 75|20 06.1|-21 55|7|
M 76|1 42.4|51 34|3|Little Dumbbell Nebula
M 77|2 42.7|-0 01|7|
M 78|5 46.7|0 03|8|
M 79|5 24.5|-24 33|10|
M 80|16 17.0|-22 59|10|
M 81|9 55.6|69 04|27|Bode's Galaxy
M 82|9 55.8|69 41|11|Cigar Galaxy
M 83|13 37.0|-29 52|13|Southern Pinwheel Galaxy
M 84|12 25.1|12 53|6|
M 85|12 25.4|18 11|7|
M 86|12 26.2|12 57|9|
M 87|12 30.8|12 24|8|Virgo A
M 88|12 32.0|14 25|7|
M 89|12 35.7|12 33|5|
M 90|12 36.8|13 10|10|
M 91|12 35.4|14 30|5|
M 92|17 17.1|43 08|14|
M 93|7 44.6|-23 52|22|
M 94|12 50.9|41 07|14|
M 95|10 44.0|11 42|7|
M 96|10 46.8|11 49|8|
M 97|11 14.8|55 01|3|Owl Nebula
M 98|12 13.8|14 54|10|
M 99|12 18.8|14 25|5|
M 100|12 22.9|15 49|7|
M 101|14 03.2|54 21|29|Pinwheel Galaxy
M 102|15 06.5|55 46|6|
M 103|1 33.2|60 42|6|
M 104|12 40.0|-11 37|9|Sombrero Galaxy
M 105|10 47.8|12 35|5|
M 106|12 19.0|47 18|19|
M 107|16 32.5|-13 03|13|
M 108|11 11.5|55 40|9|
M 109|11 57.6|53 23|8|
M 110|0 40.4|41 41|22|
NGC 104|0 24.1|-72 05|31|47 Tucanae
NGC 253|0 47.6|-25 17|28|Sculptor Galaxy
NGC 281|0 52.8|56 37|35|Pacman Nebula
NGC 457|1 19.6|58 17|13|Owl Cluster
NGC 869|2 19.1|57 08|30|Double Cluster
NGC 884|2 22.5|57 08|30|Double Cluster
NGC 891|2 22.6|42 21|14|
NGC 1499|4 03.2|36 25|145|California Nebula
NGC 1977|5 35.3|-4 49|20|Running Man Nebula
NGC 2024|5 41.7|-1 51|30|Flame Nebula
NGC 2070|5 38.6|-69 06|40|Tarantula Nebula
NGC 2174|6 09.4|20 40|40|Monkey Head Nebula
NGC 2237|6 32.0|5 00|80|Rosette Nebula
NGC 2264|6 41.0|9 54|20|Christmas Tree Cluster
NGC 2359|7 18.5|-13 14|10|Thor's Helmet
NGC 2392|7 29.2|20 55|1|
NGC 2403|7 36.9|65 36|22|
NGC 2903|9 32.2|21 30|13|
NGC 3242|10 24.8|-18 39|1|Ghost of Jupiter
NGC 3372|10 45.1|-59 52|120|Carina Nebula
NGC 3628|11 20.3|13 35|15|
NGC 4565|12 36.3|25 59|16|Needle Galaxy
NGC 4631|12 42.1|32 32|15|Whale Galaxy
NGC 5128|13 25.5|-43 01|26|Centaurus A
NGC 5139|13 26.8|-47 29|36|Omega Centauri
NGC 5907|15 15.9|56 20|13|Splinter Galaxy
NGC 6543|17 58.6|66 38|1|Cat's Eye Nebula
NGC 6744|19 09.8|-63 51|20|
NGC 6888|20 12.0|38 21|18|Crescent Nebula
NGC 6946|20 34.9|60 09|11|Fireworks Galaxy
NGC 6960|20 45.7|30 43|70|Western Veil
NGC 6992|20 56.3|31 43|60|Eastern Veil
NGC 7000|20 59.3|44 31|120|North America Nebula
NGC 7009|21 04.2|-11 22|1|Saturn Nebula
NGC 7023|21 01.6|68 10|18|Iris Nebula
NGC 7293|22 29.6|-20 50|16|Helix Nebula
NGC 7331|22 37.1|34 25|10|
NGC 7380|22 47.3|58 08|25|Wizard Nebula
NGC 7635|23 20.8|61 12|15|Bubble Nebula
NGC 7662|23 25.9|42 32|1|Blue Snowball
NGC 7789|23 57.4|56 43|16|Caroline's Rose
NGC 7822|0 03.6|67 09|60|
IC 405|5 16.5|34 21|30|Flaming Star Nebula
IC 410|5 22.6|33 31|40|Tadpoles
IC 434|5 41.0|-2 27|60|Horsehead Nebula
IC 443|6 16.9|22 47|50|Jellyfish Nebula
IC 1318|20 22.2|40 15|50|Sadr region
IC 1396|21 39.1|57 30|170|Elephant's Trunk Nebula
IC 1805|2 32.7|61 27|60|Heart Nebula
IC 1848|2 51.2|60 26|60|Soul Nebula
IC 2118|5 06.9|-7 13|180|Witch Head Nebula
IC 5070|20 50.8|44 21|60|Pelican Nebula
IC 5146|21 53.5|47 16|12|Cocoon Nebula
"""


@dataclass(frozen=True)
class SkyObject:
    """One object: J2000 position in degrees, largest extent in arc minutes, and what else it is called."""

    name: str
    ra_deg: float
    dec_deg: float
    size_arcmin: float
    alias: str = ""


@lru_cache(maxsize=1)
def sky_objects() -> tuple[SkyObject, ...]:
    """The whole table."""
    found = []
    for line in _TABLE.strip().splitlines():
        name, ra, dec, size, alias = line.split("|")
        hours, minutes = ra.split()
        degrees, arcmin = dec.split()
        sign = -1.0 if degrees.startswith("-") else 1.0
        found.append(
            SkyObject(
                name,
                15 * (float(hours) + float(minutes) / 60),
                sign * (abs(float(degrees)) + float(arcmin) / 60),
                float(size),
                alias,
            )
        )
    return tuple(found)


def separation_deg(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    """The angle between two directions, all in degrees (haversine)."""
    a1, d1, a2, d2 = map(math.radians, (ra1, dec1, ra2, dec2))
    half = math.sin((d2 - d1) / 2) ** 2 + math.cos(d1) * math.cos(d2) * math.sin((a2 - a1) / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))


def objects_near(ra_deg: float, dec_deg: float, radius_deg: float) -> list[SkyObject]:
    """Objects that reach into a circle, the likeliest subject of the picture first.

    That is the nearest to the middle; a large object may have its middle farther off.
    """
    reach = []
    for one in sky_objects():
        away = separation_deg(ra_deg, dec_deg, one.ra_deg, one.dec_deg)
        if away <= radius_deg:
            reach.append((away - min(one.size_arcmin / 120, radius_deg / 2), one))
    return [one for _, one in sorted(reach, key=lambda pair: (pair[0], pair[1].name))]
