"""HTTP beside the pages: the gate in front of everything, and the routes that pages cannot be.

    browser ──▶ gate (every request, every WebSocket) ──▶ routes of this room
                  │ no valid session                  └──▶ Streamlit
                  └──▶ 303 /login, 401 or a refused WebSocket

Knows Starlette, not Streamlit. Decides nothing about people or orgs: core.services do.
"""
