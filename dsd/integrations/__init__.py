"""Callbacks for trainers with their own training loop. Import the module of your framework; nothing else imports it."""
