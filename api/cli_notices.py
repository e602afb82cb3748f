"""Commands about notices: an operator's word on cancellations that are too many to be credible."""

from typing import Annotated

import typer
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from api.cli_feeds import fail, run
from api.models import Airport, CancellationRuling
from realtime.notice_guard import DOUBTED

notices = typer.Typer(help="What followers are told.", no_args_is_help=True)

Code = Annotated[str, typer.Argument(metavar="AIRPORT", help="Such as JFK.")]
Hours = Annotated[float, typer.Option(min=0.1, max=72, help="How long this stands.")]


@notices.command()
def release(airport: Code, hours: Hours = 12) -> None:
    """The cancellations of an airport are real: tell them, also those that follow."""
    _rule(airport.upper(), tell=True, hours=hours)
    typer.echo(f"Cancellations at {airport.upper()} are told, those that wait within a minute.")


@notices.command()
def block(airport: Code, hours: Hours = 12) -> None:
    """The cancellations of an airport are wrong: nobody is told, until `release` or the end."""
    _rule(airport.upper(), tell=False, hours=hours)
    typer.echo(f"Nobody is told of cancellations at {airport.upper()} for {hours:g} hours.")


def _rule(airport: str, *, tell: bool, hours: float) -> None:
    async def write(engine: AsyncEngine) -> bool:
        async with engine.begin() as connection:
            known = select(Airport.iata).where(Airport.iata == airport)
            if await connection.scalar(known) is None:
                return False
            now = func.board_now()
            word = {
                "tell": tell,
                "since": now - DOUBTED,
                "until": now + func.make_interval(0, 0, 0, 0, 0, 0, hours * 3600),
            }
            row = insert(CancellationRuling).values(airport=airport, **word)
            await connection.execute(
                row.on_conflict_do_update(index_elements=["airport"], set_=word)
            )
        return True

    if not run(write):
        raise fail(f"there is no airport {airport}")
