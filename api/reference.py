"""Carriers and airports as the database knows them, read again once a minute."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.feed import Place, Reference

AGE = 60.0
READ_AIRLINES = text("SELECT icao, iata FROM airline WHERE icao IS NOT NULL ORDER BY iata")
READ_AIRPORTS = text("SELECT iata, icao, tz, lat, lon FROM airport WHERE NOT placeholder")


class ReferenceTables:
    """What adapters and ingest need to read the codes of a feed."""

    def __init__(self) -> None:
        self._held = Reference()
        self._good_until = 0.0

    async def read(self, connection: AsyncConnection) -> Reference:
        """At most a minute old."""
        now = asyncio.get_running_loop().time()
        if now >= self._good_until:
            self._held = await _read(connection)
            self._good_until = now + AGE
        return self._held


async def _read(connection: AsyncConnection) -> Reference:
    airlines = {row.icao: row.iata for row in await connection.execute(READ_AIRLINES)}
    rows = (await connection.execute(READ_AIRPORTS)).all()
    return Reference(
        airlines=airlines,
        airports={row.icao: row.iata for row in rows if row.icao is not None},
        places={row.iata: Place(row.tz, row.lat, row.lon) for row in rows},
    )
