"""Callbacks for trainers with their own training loop. Import the module of your framework yourself; no other module imports it."""
