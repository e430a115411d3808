# As in the upstream image: answers everybody, opens no browser, and what is deleted is gone.
c = get_config()  # noqa: F821 - Jupyter gives it
c.ServerApp.ip = "0.0.0.0"  # noqa: S104 - of the container
c.ServerApp.open_browser = False
c.FileContentsManager.delete_to_trash = False
