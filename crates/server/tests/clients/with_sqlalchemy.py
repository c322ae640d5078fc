"""SQLAlchemy: DDL from metadata, reflection back, an ORM round trip."""

import datetime as dt
import decimal
import sys

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg

url = sa.engine.make_url("postgresql+psycopg://" + sys.argv[1].split("://", 1)[1])
engine = sa.create_engine(url)


class Base(orm.DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(40), unique=True)
    born: orm.Mapped[dt.date | None]
    extra: orm.Mapped[dict] = orm.mapped_column(pg.JSONB, server_default="{}")
    books: orm.Mapped[list["Book"]] = orm.relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "book"
    __table_args__ = (sa.CheckConstraint("price > 0", name="dear"), sa.Index("book_title", "title", "price"),
                      {"comment": "what they wrote"})
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    title: orm.Mapped[str] = orm.mapped_column(sa.Text, comment="as printed")
    price: orm.Mapped[decimal.Decimal] = orm.mapped_column(sa.Numeric(8, 2))
    tags: orm.Mapped[list[str]] = orm.mapped_column(pg.ARRAY(sa.Text), default=list)
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("author.id", ondelete="CASCADE"))
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


Base.metadata.create_all(engine)
Base.metadata.create_all(engine)

with orm.Session(engine) as session:
    author = Author(name="Ada", born=dt.date(1815, 12, 10), extra={"a": 1})
    author.books = [Book(title=f"B{n}", price=decimal.Decimal(n) + 1, tags=["x", str(n)]) for n in range(50)]
    session.add(author)
    session.commit()
    found = session.scalars(sa.select(Book).where(Book.price.between(3, 5)).order_by(Book.id.desc())).all()
    assert [book.title for book in found] == ["B4", "B3", "B2"], found
    assert found[0].tags == ["x", "4"]
    total = session.execute(sa.select(Author.name, sa.func.count(Book.id), sa.func.sum(Book.price))
                            .join(Author.books).group_by(Author.name)).one()
    assert total == ("Ada", 50, decimal.Decimal("1275.00")), total
    eager = session.scalars(sa.select(Author).options(orm.selectinload(Author.books))).one()
    assert len(eager.books) == 50
    upsert = pg.insert(Author).values(id=1, name="Ada", extra={"b": 2})
    session.execute(upsert.on_conflict_do_update(index_elements=["name"], set_={"extra": upsert.excluded.extra}))
    session.expire_all()
    assert session.scalars(sa.select(Author.extra["b"].as_integer())).one() == 2
    with_savepoint = session.begin_nested()
    session.add(Author(name="Ada"))
    try:
        session.flush()
        raise AssertionError("a duplicate name was taken")
    except sa.exc.IntegrityError:
        with_savepoint.rollback()
    session.delete(eager)
    session.commit()
    assert session.scalar(sa.select(sa.func.count()).select_from(Book)) == 0

inspector = sa.inspect(engine)
assert set(inspector.get_table_names()) == {"author", "book"}
assert "public" in inspector.get_schema_names()
assert inspector.get_pk_constraint("book") | {"comment": None, "dialect_options": None} == {
    "constrained_columns": ["id"], "name": "book_pkey", "comment": None, "dialect_options": None}
columns = {column["name"]: column for column in inspector.get_columns("book")}
assert isinstance(columns["price"]["type"], sa.NUMERIC) and columns["price"]["type"].scale == 2
assert isinstance(columns["tags"]["type"], pg.ARRAY)
assert columns["id"]["identity"]["always"] is True
assert columns["title"]["comment"] == "as printed", columns["title"]
[key] = inspector.get_foreign_keys("book")
assert (key["constrained_columns"], key["referred_table"], key["options"]) == (
    ["author_id"], "author", {"ondelete": "CASCADE"}), key
[index] = inspector.get_indexes("book")
assert index["column_names"] == ["title", "price"], index
assert inspector.get_unique_constraints("author")[0]["column_names"] == ["name"]
assert inspector.get_check_constraints("book")[0]["name"] == "dear"
assert inspector.get_table_comment("book")["text"] == "what they wrote"
reflected = sa.MetaData()
reflected.reflect(engine)
assert set(reflected.tables["book"].columns.keys()) == set(columns)

with engine.begin() as connection:
    connection.execute(sa.schema.CreateSchema("other"))
table = sa.Table("t", sa.MetaData(schema="other"), sa.Column("id", sa.Integer, primary_key=True))
table.create(engine)
with engine.begin() as connection:
    connection.execute(table.insert(), [{"id": 1}, {"id": 2}])
    assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 2
assert inspector.get_table_names(schema="other") == ["t"]
table.drop(engine)
moods = pg.ENUM("sad", "ok", name="mood")
felt = sa.Table("felt", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("m", moods))
felt.metadata.create_all(engine)
felt.metadata.create_all(engine)
with engine.begin() as connection:
    connection.execute(felt.insert(), [{"m": "ok"}, {"m": "sad"}])
    assert connection.scalars(sa.select(felt.c.m).order_by(felt.c.m)).all() == ["sad", "ok"]
    assert connection.scalar(sa.select(felt.c.id).where(felt.c.m == "sad")) == 2
inspector = sa.inspect(engine)
[found] = inspector.get_enums()
assert (found["name"], found["schema"], found["labels"]) == ("mood", "public", ["sad", "ok"]), found
assert inspector.get_columns("felt")[1]["type"].enums == ["sad", "ok"]
felt.metadata.drop_all(engine)
assert sa.inspect(engine).get_enums() == []
Base.metadata.drop_all(engine)
assert sa.inspect(engine).get_table_names() == []
print("sqlalchemy", sa.__version__)
