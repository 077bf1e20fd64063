"""Networks and data: one package per domain, each with the same file names."""

from tasks.environment import settle

settle()
