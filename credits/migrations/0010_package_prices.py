"""Give each package its price in US dollars as a row of the new table."""

from django.db import migrations


def copy_prices(apps, schema_editor):
    Package = apps.get_model("credits", "Package")
    PackagePrice = apps.get_model("credits", "PackagePrice")
    for package in Package.objects.filter(price_usd__gt=0):
        PackagePrice.objects.get_or_create(
            package=package, currency="usd", defaults={"amount": int(package.price_usd * 100)}
        )


class Migration(migrations.Migration):
    dependencies = [("credits", "0009_purchases")]

    operations = [migrations.RunPython(copy_prices, migrations.RunPython.noop)]
