"""The settings themselves: one table per program, one row per setting.

Programs share rows by inheritance: a row belongs to the section of the class that declares it.
``retell_voice.settings.schema`` has the machinery. Each program loads its own table only.
"""
