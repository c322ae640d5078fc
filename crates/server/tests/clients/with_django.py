"""Django: migrations forth and back, the ORM, inspectdb, its own applications."""

import io
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

parts = urlsplit(sys.argv[1])
settings.configure(
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": parts.path[1:], "USER": parts.username,
        "PASSWORD": unquote(parts.password), "HOST": parts.hostname, "PORT": parts.port}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "birds"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True, TIME_ZONE="UTC")

FIRST = """
from django.db import migrations, models
class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Species", [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=20, unique=True)),
            ("seen", models.DateTimeField(auto_now_add=True)),
            ("mass", models.DecimalField(max_digits=8, decimal_places=2, null=True)),
            ("facts", models.JSONField(default=dict)),
            ("flight", models.DurationField(null=True)),
        ]),
        migrations.CreateModel("Bird", [
            ("id", models.BigAutoField(primary_key=True)),
            ("species", models.ForeignKey("birds.Species", models.CASCADE, related_name="birds")),
            ("friends", models.ManyToManyField("self")),
            ("ring", models.IntegerField(db_index=True)),
            ("note", models.TextField(blank=True, default="")),
        ], options={"constraints": [models.CheckConstraint(condition=models.Q(ring__gt=0), name="ring_positive")]}),
    ]
"""
SECOND = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("birds", "0001_first")]
    operations = [
        migrations.RemoveConstraint("Bird", "ring_positive"),
        migrations.AlterField("Bird", "ring", models.CharField(max_length=10, null=True)),
        migrations.AlterField("Bird", "ring", models.CharField(max_length=30, null=True, unique=True)),
        migrations.AddField("Bird", "mother", models.ForeignKey("birds.Bird", models.SET_NULL, null=True)),
        migrations.AddField("Bird", "weight", models.FloatField(default=1.5)),
        migrations.RenameField("Bird", "note", "remark"),
        migrations.AlterField("Bird", "remark", models.CharField(max_length=100, default="none")),
        migrations.AddIndex("Bird", models.Index(fields=["species", "-weight"], name="bird_weight")),
        migrations.AddConstraint("Bird", models.UniqueConstraint(fields=["species", "ring"], name="one_ring")),
        migrations.AddConstraint("Bird", models.CheckConstraint(condition=models.Q(weight__gte=0), name="weighs")),
        migrations.RenameModel("Bird", "Fowl"),
        migrations.AlterField("Species", "mass", models.DecimalField(max_digits=10, decimal_places=3, default=0)),
        migrations.AlterModelTable("Species", "kinds"),
    ]
"""
MODELS = """
from django.db import models
class Species(models.Model):
    name = models.CharField(max_length=20, unique=True)
    seen = models.DateTimeField(auto_now_add=True)
    mass = models.DecimalField(max_digits=10, decimal_places=3, default=0)
    facts = models.JSONField(default=dict)
    flight = models.DurationField(null=True)
    class Meta:
        db_table = "kinds"
class Fowl(models.Model):
    species = models.ForeignKey(Species, models.CASCADE, related_name="birds")
    friends = models.ManyToManyField("self")
    ring = models.CharField(max_length=30, null=True, unique=True)
    remark = models.CharField(max_length=100, default="none")
    mother = models.ForeignKey("self", models.SET_NULL, null=True)
    weight = models.FloatField(default=1.5)
"""

with tempfile.TemporaryDirectory() as directory:
    application = Path(directory) / "birds"
    (application / "migrations").mkdir(parents=True)
    for name, text in [("__init__", ""), ("models", MODELS), ("migrations/__init__", ""),
                       ("migrations/0001_first", FIRST), ("migrations/0002_second", SECOND)]:
        (application / f"{name}.py").write_text(text)
    sys.path.insert(0, directory)
    django.setup()

    import datetime as dt
    from decimal import Decimal

    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import IntegrityError, connection, transaction
    from django.db.models import Avg, Count, F, Max, Prefetch, Q, Sum, Value, Window
    from django.db.models.functions import Concat, ExtractYear, Lower, RowNumber, TruncMonth

    call_command("migrate", "birds", "0001", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO birds_species (name, seen, facts) VALUES ('old', now(), '{}') RETURNING id")
        old = cursor.fetchone()[0]
        cursor.execute("INSERT INTO birds_bird (species_id, ring, note) VALUES (%s, 77, 'first')", [old])
    call_command("migrate", verbosity=0)
    from birds.models import Fowl, Species

    first = Fowl.objects.get()
    assert (first.ring, first.remark, first.weight, first.species.name) == ("77", "first", 1.5, "old")

    robin = Species.objects.create(name="Robin", mass=Decimal("16.5"), facts={"red": ["breast"], "eggs": 5},
                                   flight=dt.timedelta(days=1, minutes=3))
    Fowl.objects.bulk_create([Fowl(species=robin, ring=f"r{n}", weight=n) for n in range(10)])
    fowls = list(robin.birds.order_by("id"))
    fowls[0].friends.add(fowls[1], fowls[2])
    fowls[3].mother = fowls[0]
    fowls[3].save()
    robin.refresh_from_db()
    assert robin.flight == dt.timedelta(days=1, minutes=3) and robin.facts["eggs"] == 5
    totals = Species.objects.annotate(n=Count("birds"), w=Sum("birds__weight")).order_by("name").values_list("name", "n", "w")
    assert list(totals) == [("Robin", 10, 45.0), ("old", 1, 1.5)], list(totals)
    assert Species.objects.filter(facts__red__0="breast", facts__eggs__gt=3).count() == 1
    assert Species.objects.filter(facts__has_key="red").count() == 1
    assert Species.objects.filter(facts__contains={"eggs": 5}).exists()
    assert Species.objects.filter(name__iexact="ROBIN", name__regex="^R", name__icontains="OBI").exists()
    assert Species.objects.filter(seen__year=dt.datetime.now(dt.timezone.utc).year).count() == 2
    assert Species.objects.annotate(m=TruncMonth("seen"), y=ExtractYear("seen")).values("m", "y").distinct().count() == 1
    assert Species.objects.filter(seen__gt=F("seen") - dt.timedelta(days=1)).count() == 2
    ranked = Fowl.objects.annotate(r=Window(RowNumber(), order_by=F("weight").desc())).order_by("r")
    assert ranked.first().weight == 9
    assert Fowl.objects.filter(Q(friends=fowls[0]) | Q(mother=fowls[0])).distinct().count() == 3
    assert Fowl.objects.aggregate(Max("weight"), Avg("weight"))["weight__max"] == 9
    assert Fowl.objects.update(weight=F("weight") * 2) == 11
    assert Fowl.objects.annotate(l=Lower(Concat("ring", Value("X")))).filter(l="r1x").get() == fowls[1]
    assert len(Species.objects.prefetch_related(Prefetch("birds", Fowl.objects.select_related("mother")))) == 2
    assert Fowl.objects.order_by("species_id", "-weight").distinct("species_id").count() == 2
    with transaction.atomic():
        assert Species.objects.select_for_update().get(name="Robin").pk == robin.pk
        try:
            with transaction.atomic():
                Species.objects.create(name="Robin")
            raise AssertionError("a duplicate name was taken")
        except IntegrityError:
            pass
    _, made = Species.objects.update_or_create(name="Robin", defaults={"mass": 17})
    assert not made
    Fowl.objects.bulk_create([Fowl(id=fowls[0].id, species=robin, ring="r0", weight=3)], update_conflicts=True,
                             unique_fields=["id"], update_fields=["weight"])
    assert Fowl.objects.get(id=fowls[0].id).weight == 3
    user = User.objects.create_user("ann", password="x")
    assert User.objects.get(username="ann").check_password("x") and user.has_perm("birds.add_fowl") is False

    out = io.StringIO()
    call_command("inspectdb", stdout=out)
    text = out.getvalue()
    assert "class Kinds(models.Model)" in text and "name = models.CharField(unique=True, max_length=20)" in text, text
    assert "species = models.ForeignKey('Kinds', models.DO_NOTHING)" in text, text
    assert "mass = models.DecimalField(max_digits=10, decimal_places=3)" in text, text
    assert "Unable to inspect" not in text and "failed" not in text, text
    call_command("check", databases=["default"], verbosity=0)
    call_command("sqlflush", stdout=io.StringIO())
    robin.delete()
    assert Fowl.objects.count() == 1
    call_command("flush", interactive=False, verbosity=0)
    assert Fowl.objects.count() == 0
    call_command("migrate", "birds", "zero", verbosity=0)
    assert [t for t in connection.introspection.table_names() if t.startswith(("birds", "kinds"))] == []
    print("django", django.__version__)
